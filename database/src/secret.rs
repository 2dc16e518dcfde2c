//! Secrets of repositories, sealed: whoever reads the database without the key learns their names and lengths only.

use crate::sql::sql;
use crate::{Database, Error};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// The key that seals secrets.
#[derive(Clone)]
pub struct SecretKey([u8; KEY_LEN]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey")
    }
}

impl SecretKey {
    /// Returns the key with these bytes.
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        SecretKey(bytes)
    }

    /// Returns a new key; `None` if the system gives no random numbers.
    pub fn generate() -> Option<Self> {
        let mut bytes = [0; KEY_LEN];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(SecretKey(bytes))
    }

    /// Returns the key's bytes, for the file it is kept in.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Seals `value` for `place`: a random nonce, then what ChaCha20-Poly1305 makes of it.
    fn seal(&self, place: &Place<'_>, value: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        self.seal_with(nonce, place, value)
    }

    fn seal_with(&self, nonce: [u8; NONCE_LEN], place: &Place<'_>, value: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = value.to_vec();
        let tag = self.cipher()?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.bound()),
            &mut sealed,
        );
        Some([nonce.as_slice(), &sealed, tag.ok()?.as_ref()].concat())
    }

    /// Seals `value` so that equal values of one place are sealed alike: the nonce is made of them.
    pub(crate) fn seal_alike(&self, place: &Place<'_>, value: &[u8]) -> Option<Vec<u8>> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut made = hmac::Context::with_key(&key);
        [b"slipway nonce".as_slice(), &place.bound(), &value.len().to_le_bytes(), value]
            .iter()
            .for_each(|part| made.update(part));
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&made.sign().as_ref()[..NONCE_LEN]);
        self.seal_with(nonce, place, value)
    }

    /// Opens what was sealed for `place`; `None` if it was sealed with another key or for another place.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut value = rest.to_vec();
        let opened = self.cipher()?.open_in_place(nonce, Aad::from(place.bound()), &mut value).ok()?.len();
        value.truncate(opened);
        Some(value)
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.0).ok().map(LessSafeKey::new)
    }
}

/// Which of the stored secrets a key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFit {
    /// All of them, or there are none.
    All,
    /// Some were sealed with another key.
    Some {
        /// Those, as `repository:name`.
        foreign: Vec<String>,
    },
    /// There are secrets, and it opens none of them.
    None,
}

/// Whose secret it is: sealed with it, so that a row copied to another name does not open.
pub(crate) struct Place<'a> {
    pub repository: &'a str,
    pub name: &'a str,
}

impl Place<'_> {
    fn bound(&self) -> Vec<u8> {
        // The length keeps `a/b` + `c` apart from `a` + `b/c`, whatever the names hold.
        let length = self.repository.len().to_le_bytes();
        [&length, self.repository.as_bytes(), self.name.as_bytes()].concat()
    }
}

impl Database {
    /// Seals and stores a secret, in place of an earlier one of this name.
    pub async fn put_secret(&self, repository: &str, name: &str, value: &[u8]) -> Result<(), Error> {
        let sealed = self.key()?.seal(&Place { repository, name }, value).ok_or(Error::NoKey)?;
        let now = self.now_ms().await?;
        sql(
            "storing a secret",
            "INSERT INTO secrets (repository, name, sealed, changed_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (repository, name) DO UPDATE SET sealed = excluded.sealed, changed_ms = excluded.changed_ms",
        )
        .bind(repository)
        .bind(name)
        .bind(sealed)
        .bind(now)
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Tells whether anything was sealed.
    pub async fn has_secrets(&self) -> Result<bool, Error> {
        Ok(sql("looking for secrets", "SELECT 1 FROM secrets LIMIT 1").optional(self.read()).await?.is_some())
    }

    /// Finds out which of the secrets the key opens.
    pub async fn key_fit(&self) -> Result<KeyFit, Error> {
        let text = "SELECT repository, name, sealed FROM secrets ORDER BY repository, name";
        let rows = sql("trying the key of the secrets", text).all(self.read()).await?;
        let mut foreign = Vec::new();
        for row in &rows {
            let (repository, name): (String, String) = (row.get(0)?, row.get(1)?);
            let place = Place { repository: &repository, name: &name };
            if self.key()?.open(&place, &row.get::<Vec<u8>>(2)?).is_none() {
                foreign.push(format!("{repository}:{name}"));
            }
        }
        Ok(match foreign.len() {
            0 => KeyFit::All,
            count if count == rows.len() => KeyFit::None,
            _ => KeyFit::Some { foreign },
        })
    }

    /// Returns the names of a repository's secrets.
    pub async fn secret_names(&self, repository: &str) -> Result<Vec<String>, Error> {
        let text = "SELECT name FROM secrets WHERE repository = $1 ORDER BY name";
        let rows = sql("reading the names of secrets", text).bind(repository).all(self.read()).await?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Returns those of the named secrets that there are, opened.
    pub async fn secrets(&self, repository: &str, names: &[String]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut opened = Vec::with_capacity(names.len());
        for name in names {
            let text = "SELECT sealed FROM secrets WHERE repository = $1 AND name = $2";
            let row = sql("reading a secret", text).bind(repository).bind(name).optional(self.read()).await?;
            let Some(row) = row else { continue };
            let value = self.key()?.open(&Place { repository, name }, &row.get::<Vec<u8>>(0)?);
            opened.push((name.clone(), value.ok_or_else(|| Error::WrongKey(name.clone()))?));
        }
        Ok(opened)
    }

    /// Removes a secret; tells whether there was one.
    pub async fn delete_secret(&self, repository: &str, name: &str) -> Result<bool, Error> {
        let text = "DELETE FROM secrets WHERE repository = $1 AND name = $2";
        Ok(sql("removing a secret", text).bind(repository).bind(name).run(self.write()).await? == 1)
    }

    fn key(&self) -> Result<&SecretKey, Error> {
        self.key.as_deref().ok_or(Error::NoKey)
    }
}
