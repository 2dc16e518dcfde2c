//! A sign-in under way. Everything that must not be guessed is made of one random value, which a cookie holds: the state, the
//! verifier of the code, and the nonce of an ID token. Nothing is stored before somebody has signed in.

use crate::configuration::sign_in::Provider;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq;

/// A sign-in that a browser has begun.
pub(crate) struct Flow<'f> {
    /// Where somebody signs in.
    pub provider: &'f Provider,
    /// The random value of the browser's cookie.
    pub random: &'f str,
}

/// A sign-in that did not succeed: what went wrong, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub String);

/// Somebody, as their provider knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The provider's id of them, which it gives to nobody else.
    pub subject: String,
    /// The name that they have there now.
    pub name: String,
}

impl Flow<'_> {
    /// Returns the value with which the provider sends the browser back.
    pub(crate) fn state(&self) -> String {
        self.derive("state")
    }

    /// Tells whether a browser comes back from the flow that it began.
    pub(crate) fn is_begun_with(&self, state: &str) -> bool {
        self.state().as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// Returns the value that an ID token must hold.
    pub(crate) fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// Returns the value that a code is exchanged with.
    pub(super) fn verifier(&self) -> String {
        self.derive("verifier")
    }

    fn derive(&self, what: &str) -> String {
        hex::encode(Sha256::digest(format!("{what} {} {}", self.provider.name, self.random)))
    }
}

/// Returns the time in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
