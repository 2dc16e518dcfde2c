//! Deploy keys: the pair of a repository by which commits are fetched over ssh. The private half is sealed like a secret.

use crate::database::Database;
use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};

/// Name under which the key is kept among a repository's secrets; no secret of a user is called so.
const NAME: &str = "@deploy-key";
/// The kind of the keys.
const KIND: &[u8] = b"ssh-ed25519";
/// Characters in a line of a private key's text.
const LINE: usize = 70;

/// A deploy key.
#[derive(Clone)]
pub struct DeployKey {
    seed: [u8; 32],
    public: [u8; 32],
    comment: String,
}

impl DeployKey {
    fn of(repository: &str, seed: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let (seed, public) = (seed.try_into().ok()?, pair.public_key().as_ref().try_into().ok()?);
        Some(DeployKey { seed, public, comment: format!("slipway {repository}") })
    }

    /// Returns the public key as forges take it: one line.
    pub fn public_line(&self) -> String {
        format!("ssh-ed25519 {} {}", STANDARD.encode(self.public_blob()), self.comment)
    }

    /// Returns the fingerprint that forges show.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(self.public_blob())))
    }

    /// Returns the private key as ssh reads it.
    pub fn private_text(&self) -> String {
        let mut inner = Vec::new();
        // Twice the same number, by which ssh knows that it was decrypted; nothing is encrypted here.
        inner.extend([0; 8]);
        field(&mut inner, KIND);
        field(&mut inner, &self.public);
        field(&mut inner, &[self.seed, self.public].concat());
        field(&mut inner, self.comment.as_bytes());
        let padding = (8 - inner.len() % 8) % 8;
        inner.extend((1..=padding).map(|byte| byte as u8));
        let mut all = b"openssh-key-v1\0".to_vec();
        for text in [&b"none"[..], b"none", b""] {
            field(&mut all, text);
        }
        all.extend(1_u32.to_be_bytes());
        field(&mut all, &self.public_blob());
        field(&mut all, &inner);
        let encoded = STANDARD.encode(all);
        let lines: Vec<_> = encoded.as_bytes().chunks(LINE).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n", lines.join("\n"))
    }

    fn public_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        field(&mut blob, KIND);
        field(&mut blob, &self.public);
        blob
    }
}

impl std::fmt::Debug for DeployKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DeployKey({})", self.fingerprint())
    }
}

fn field(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as u32).to_be_bytes());
    bytes.extend_from_slice(text);
}

impl Database {
    /// Returns the deploy key of a repository, if it has one.
    pub async fn deploy_key(&self, repository: &str) -> Result<Option<DeployKey>, Error> {
        let found = self.secrets(repository, &[NAME.to_owned()]).await?;
        Ok(found.first().and_then(|(_, seed)| DeployKey::of(repository, seed)))
    }

    /// Makes a deploy key for a repository, in place of the one that it has.
    pub async fn make_deploy_key(&self, repository: &str) -> Result<DeployKey, Error> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| Error::NoKey)?;
        let key = DeployKey::of(repository, &seed).ok_or(Error::NoKey)?;
        self.put_secret(repository, NAME, &seed).await?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_forms_that_ssh_reads() {
        // The first key of RFC 8032.
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let key = DeployKey::of("team/app", &seed).unwrap();
        let public = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        assert_eq!(key.public[..], public[..]);
        assert!(
            key.public_line().starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")
                && key.public_line().ends_with(" slipway team/app")
        );
        let text = key.private_text();
        let lines: Vec<_> = text.lines().collect();
        let bytes = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
        assert!(bytes.starts_with(b"openssh-key-v1\0") && lines.iter().all(|line| line.len() <= LINE));
        assert!(!format!("{key:?}").contains(&hex::encode(&seed)));
    }
}
