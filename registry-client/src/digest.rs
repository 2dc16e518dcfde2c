//! Digests: a blob's, and a layer's before compression, as two types that cannot be mixed up.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;
use std::str::FromStr;

/// Text that is not a digest: neither `sha256:` and 64 nor `sha512:` and 128 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: `sha256:` and 64 lower-case hexadecimal digits are expected, or `sha512:` and 128")]
pub struct DigestError(String);

/// The hash function of a digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Used unless somebody asks for another one.
    #[default]
    Sha256,
    /// Allowed by the image specification.
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    /// Returns the name as it stands in front of the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Returns the algorithm with this name.
    pub fn parse(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    fn digits(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }

    fn is_hex(self, hex: &str) -> bool {
        hex.len() == self.digits() && hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    }
}

/// A hash in progress.
#[derive(Debug, Clone)]
pub struct Hasher(State);

#[derive(Debug, Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// Starts a hash of nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        Hasher(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hash) => hash.update(bytes),
            State::Sha512(hash) => hash.update(bytes),
        }
    }

    /// Returns the digest of all that was added.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(hash) => Digest(format!("sha256:{}", hex::encode(hash.finalize()))),
            State::Sha512(hash) => Digest(format!("sha512:{}", hex::encode(hash.finalize()))),
        }
    }
}

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident, $algorithms:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the SHA-256 digest of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self::from_sha256(Sha256::digest(bytes).into())
            }

            /// Returns the digest with this hash.
            pub fn from_sha256(hash: [u8; 32]) -> Self {
                $name(format!("sha256:{}", hex::encode(hash)))
            }

            /// Returns the hexadecimal digits after the colon.
            pub fn hex(&self) -> &str {
                self.0.split_once(':').map_or("", |(_, hex)| hex)
            }

            /// Returns the whole digest as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                let (name, hex) = text.split_once(':').unwrap_or_default();
                let known = Algorithm::parse(name).filter(|algorithm| $algorithms.contains(algorithm));
                match known.is_some_and(|algorithm| algorithm.is_hex(hex)) {
                    true => Ok($name(text.to_owned())),
                    false => Err(DigestError(text.chars().take(100).collect())),
                }
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
    Digest, Algorithm::ALL
}
digest_type! {
    /// The digest of a layer's tar before compression, as an image's configuration lists it.
    DiffId, [Algorithm::Sha256]
}

impl Digest {
    /// Returns the digest of `bytes` by `algorithm`.
    pub fn with(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hash = Hasher::new(algorithm);
        hash.update(bytes);
        hash.finish()
    }

    /// Returns the digest with these hexadecimal digits; their number tells the algorithm.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.is_hex(hex))?;
        Some(Digest(format!("{}:{hex}", algorithm.as_str())))
    }

    /// Returns the hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.0.split_once(':').and_then(|(name, _)| Algorithm::parse(name)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REG, containers/image CVE-2024-3727: a digest is never a path.
    #[test]
    fn only_a_known_algorithm_with_its_digits_is_a_digest() {
        let good = Digest::of(b"");
        assert_eq!(good.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(good.to_string().parse::<Digest>().unwrap(), good);
        for bad in
            ["", "sha256:", "sha256:../../etc/passwd", "sha512:00", &good.as_str().to_uppercase(), &good.as_str()[..70]]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        let long = good.as_str().replace("sha256", "sha512");
        assert!(long.parse::<Digest>().is_err(), "64 digits are too few for SHA-512");
    }

    #[test]
    fn a_blob_may_have_a_sha512_digest_and_a_diff_id_may_not() {
        let digest = Digest::with(Algorithm::Sha512, b"");
        assert!(digest.as_str().starts_with("sha512:cf83e1357eefb8bd"), "{digest}");
        assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
        assert_eq!((digest.algorithm(), Digest::from_hex(digest.hex())), (Algorithm::Sha512, Some(digest.clone())));
        assert_eq!(Digest::from_hex(Digest::of(b"").hex()), Some(Digest::of(b"")));
        assert!(digest.as_str().parse::<DiffId>().is_err());
    }
}
