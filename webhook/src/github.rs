//! GitHub's deliveries: the signature over the raw bytes first, then the payload.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// Used where there is no secret to compare with, so that an answer takes as long.
const NO_SECRET: &str = "no repository has this secret";

/// A body whose signature was right for some of the configured secrets.
pub struct Delivery<'b> {
    body: &'b [u8],
    secrets: Vec<&'b str>,
}

impl<'b> Delivery<'b> {
    /// Checks `signature` (`sha256=…`) of `body` with each of `secrets`, in constant time; `None` if none is right.
    pub fn verify(
        body: &'b [u8],
        signature: Option<&str>,
        secrets: impl Iterator<Item = &'b str>,
    ) -> Option<Delivery<'b>> {
        let signature =
            signature.and_then(|text| text.strip_prefix("sha256=")).and_then(|digits| hex::decode(digits).ok());
        let mut right: Vec<&str> = Vec::new();
        let mut tried: Vec<&str> = Vec::new();
        for secret in secrets {
            if !tried.contains(&secret) {
                tried.push(secret);
                if is_right(body, signature.as_deref(), secret) {
                    right.push(secret);
                }
            }
        }
        if tried.is_empty() {
            is_right(body, signature.as_deref(), NO_SECRET);
        }
        (!right.is_empty()).then_some(Delivery { body, secrets: right })
    }

    /// Tells whether one of `secrets` made the signature.
    pub fn signed_with(&self, secrets: &[String]) -> bool {
        secrets.iter().any(|secret| self.secrets.contains(&secret.as_str()))
    }

    /// Returns the JSON of the payload, which a form carries in a field.
    pub fn json(&self, form: bool) -> Option<Vec<u8>> {
        if !form {
            return Some(self.body.to_vec());
        }
        let mut fields = url::form_urlencoded::parse(self.body);
        fields.find(|(name, _)| name == "payload").map(|(_, value)| value.into_owned().into_bytes())
    }
}

fn is_right(body: &[u8], signature: Option<&[u8]>, secret: &str) -> bool {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.verify_slice(signature.unwrap_or(&[])).is_ok()
}

/// What every payload says.
#[derive(Debug, Deserialize)]
pub struct AnyEvent {
    /// The repository it is about.
    pub repository: Option<RepositoryName>,
}

/// A repository in a payload.
#[derive(Debug, Deserialize)]
pub struct RepositoryName {
    /// `owner/name`.
    pub full_name: String,
}

/// A push.
#[derive(Debug, Deserialize)]
pub struct Push {
    /// Full name of the ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The ref's old object; zeros if it is new.
    #[serde(default)]
    pub before: String,
    /// The ref's new object; of an annotated tag not the commit.
    pub after: String,
    /// Whether the ref is gone.
    #[serde(default)]
    pub deleted: bool,
    /// The newest commit.
    pub head_commit: Option<Commit>,
    /// Who pushed.
    pub pusher: Option<Pusher>,
}

/// A commit in a payload.
#[derive(Debug, Deserialize)]
pub struct Commit {
    /// Full hash.
    pub id: String,
    /// Message.
    #[serde(default)]
    pub message: String,
}

/// Who pushed.
#[derive(Debug, Deserialize)]
pub struct Pusher {
    /// Their name.
    pub name: String,
}

impl Push {
    /// Returns the full hash of the commit to build; `None` if there is none.
    pub fn commit(&self) -> Option<&str> {
        let id = self.head_commit.as_ref().map_or(self.after.as_str(), |commit| commit.id.as_str());
        let valid = id.len() == 40
            && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && id.bytes().any(|byte| byte != b'0');
        valid.then_some(id)
    }

    /// Returns where the ref pointed before; `None` if it is new.
    pub fn before(&self) -> Option<&str> {
        Some(self.before.as_str()).filter(|id| id.bytes().any(|byte| byte != b'0'))
    }

    /// Returns the first line of the commit's message.
    pub fn message(&self) -> String {
        let message = self.head_commit.as_ref().map(|commit| commit.message.as_str()).unwrap_or_default();
        message.lines().next().unwrap_or_default().chars().take(200).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_signature_is_right_and_others_are_not() {
        // The example of GitHub's documentation.
        let (secret, body) = ("It's a Secret to Everybody", b"Hello, World!");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let verify =
            |signature, secrets: &[&'static str]| Delivery::verify(body, signature, secrets.iter().copied()).is_some();
        assert!(verify(Some(signature), &["other", secret]));
        assert!(!verify(Some(signature), &["other"]));
        assert!(!verify(Some(&signature[..70]), &[secret]));
        assert!(!verify(Some("sha1=757107"), &[secret]));
        assert!(!verify(None, &[secret]) && !verify(Some(signature), &[]));
    }
}
