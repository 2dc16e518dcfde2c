//! Passwords of accounts: kept as argon2id hashes, so that a copy of the database lets nobody log in.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of salt, as RFC 9106 recommends.
const SALT: usize = 16;

/// How a generated password begins, so that scanners for leaked secrets recognise one.
const PREFIX: &str = "slu_";
/// Least characters of a password.
const SHORTEST: usize = 8;
/// Random bytes of a generated password.
const LENGTH: usize = 24;

/// Returns a new password that nobody guesses; `None` if the machine gives no randomness.
pub fn generate_password() -> Option<String> {
    let mut random = [0; LENGTH];
    SystemRandom::new().fill(&mut random).ok()?;
    Some(format!("{PREFIX}{}", hex::encode(random)))
}

/// Checks a password that somebody chose; an error says what is wrong with it.
pub fn check_password(password: &str) -> Result<(), String> {
    match password.chars().count() {
        0..SHORTEST => {
            Err(format!("the password has fewer than {SHORTEST} characters: somebody who guesses would find it"))
        }
        _ => Ok(()),
    }
}

/// Returns the hash of a password; `None` if the machine gives no randomness. Takes tens of milliseconds and 19 MiB.
pub fn hash_password(password: &str) -> Option<String> {
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).ok()?;
    let salt = SaltString::encode_b64(&salt).ok()?;
    Some(Argon2::default().hash_password(password.as_bytes(), &salt).ok()?.to_string())
}

/// Tells whether a hash is that of the password; takes as long as hashing does.
pub fn password_matches(password: &str, hash: &str) -> bool {
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_password_and_never_twice_the_same() {
        let hash = hash_password("hush").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$") && !hash.contains("hush"), "{hash}");
        assert!(password_matches("hush", &hash) && !password_matches("Hush", &hash));
        assert_ne!(hash, hash_password("hush").unwrap());
        assert!(!password_matches("", "") && !password_matches("hush", "damaged"));
    }
}
