//! Tokens of the API: `slp_`, 64 random hexadecimal digits and 8 that check them, so that a typing error costs no look-up
//! and scanners for leaked secrets can recognise one.

use sha2::{Digest, Sha256};

const PREFIX: &str = "slp_";
const RANDOM_DIGITS: usize = 64;
const CHECK_DIGITS: usize = 8;

/// A token just made: the text, which is shown once, and the hash, which is kept.
pub struct NewToken {
    /// The token itself.
    pub text: String,
    /// The hash that the database stores.
    pub hash: [u8; 32],
}

/// Makes a token; `None` if the machine gives no randomness.
pub fn generate() -> Option<NewToken> {
    let mut bytes = [0; RANDOM_DIGITS / 2];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    let random = hex::encode(bytes);
    let text = format!("{PREFIX}{random}{}", check(&random));
    let hash = Sha256::digest(&text).into();
    Some(NewToken { text, hash })
}

/// Tells whether a text can be a token at all.
pub fn is_well_formed(text: &str) -> bool {
    let digits =
        text.strip_prefix(PREFIX).filter(|digits| digits.len() == RANDOM_DIGITS + CHECK_DIGITS && digits.is_ascii());
    digits.is_some_and(|digits| check(&digits[..RANDOM_DIGITS]) == digits[RANDOM_DIGITS..])
}

fn check(random: &str) -> String {
    hex::encode(&Sha256::digest(random)[..CHECK_DIGITS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_different_and_checked() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert!(one.text != other.text && one.text.len() == 76 && is_well_formed(&one.text));
        let mistyped = one.text.replacen(char::from(one.text.as_bytes()[10]), "g", 1);
        for bad in ["", "slp_", "x", mistyped.as_str(), &one.text[1..]] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
