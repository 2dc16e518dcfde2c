//! The key that seals secrets: ChaCha20-Poly1305, each value bound to its place.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
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
    pub(crate) fn seal(&self, place: &Place<'_>, value: &[u8]) -> Option<Vec<u8>> {
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
