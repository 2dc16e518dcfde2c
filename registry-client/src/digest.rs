//! Digests: a blob's, and a layer's before compression, as two types that cannot be mixed up.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A digest that is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: `sha256:` and 64 lower-case hexadecimal digits are expected")]
pub struct DigestError(String);

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the digest of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self::from_sha256(Sha256::digest(bytes).into())
            }

            /// Returns the digest with this hash.
            pub fn from_sha256(hash: [u8; 32]) -> Self {
                $name(format!("sha256:{}", hex::encode(hash)))
            }

            /// Returns the 64 hexadecimal digits.
            pub fn hex(&self) -> &str {
                &self.0["sha256:".len()..]
            }

            /// Returns the whole digest as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                let digits = text.strip_prefix("sha256:").unwrap_or_default();
                let good = digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
                if good { Ok($name(text.to_owned())) } else { Err(DigestError(text.chars().take(100).collect())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = DigestError;

            fn try_from(text: String) -> Result<Self, DigestError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> String {
                digest.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

digest_type! {
    /// The digest of a blob: a manifest, a configuration, a layer as it is stored and sent.
    Digest
}
digest_type! {
    /// The digest of a layer's tar before compression, as an image's configuration lists it.
    DiffId
}

#[cfg(test)]
mod tests {
    use super::*;

    // REG, containers/image CVE-2024-3727: a digest is never a path.
    #[test]
    fn only_sha256_with_64_digits_is_a_digest() {
        let good = Digest::of(b"");
        assert_eq!(good.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(good.to_string().parse::<Digest>().unwrap(), good);
        for bad in
            ["", "sha256:", "sha256:../../etc/passwd", "sha512:00", &good.as_str().to_uppercase(), &good.as_str()[..70]]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
