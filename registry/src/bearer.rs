//! Access tokens: short-lived, signed with the store's key, and good for the scope that they were asked for.

use crate::rights::{Action, Grant, Scope};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use image_store::Store;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq;

/// Seconds for which a token is good. The rights of its account are looked up again with each request.
pub(crate) const LIFETIME: u64 = 15 * 60;

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The account; empty for whoever did not log in.
    pub account: String,
    /// Ties the token to the password that it was got with.
    pub login: String,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
    /// Repositories and actions that it is for.
    pub access: Vec<Access>,
    /// Whether it is for the list of repositories, too.
    pub catalog: bool,
}

/// A part of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    /// The repository.
    pub name: String,
    /// The words for the actions.
    pub actions: Vec<String>,
}

impl Access {
    /// Returns the part of a scope that a grant for one repository is.
    pub(crate) fn new(name: &str, actions: impl Iterator<Item = Action>) -> Self {
        Access { name: name.to_owned(), actions: actions.map(|action| action.as_str().to_owned()).collect() }
    }
}

impl Claims {
    /// Returns what may be done with the token at most.
    pub(crate) fn scope(&self) -> Scope {
        let grants = self.access.iter().map(|access| Grant::new(&access.name, &access.actions.join(",")));
        Scope { grants: grants.collect(), has_catalog: self.catalog }
    }

    /// Returns the token.
    pub(crate) fn sign(&self, store: &Store) -> String {
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        let signature = store.sign_token(&text);
        format!("{text}.{signature}")
    }

    /// Reads a token that is good.
    pub(crate) fn read(token: &str, store: &Store) -> Option<Claims> {
        let (text, signature) = token.split_once('.')?;
        if !bool::from(store.sign_token(text).as_bytes().ct_eq(signature.as_bytes())) {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (claims.expires > now()).then_some(claims)
    }
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_it_ends_and_only_as_it_was_signed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let access = vec![Access::new("team/app", [Action::Pull].into_iter())];
        let claims =
            Claims { account: "ada".to_owned(), login: "x".to_owned(), expires: now() + 5, access, catalog: false };
        let token = claims.sign(&store);
        assert_eq!(Claims::read(&token, &store), Some(claims.clone()));
        let old = Claims { expires: now(), ..claims.clone() };
        assert_eq!(Claims::read(&old.sign(&store), &store), None);
        let other = Claims { account: "bob".to_owned(), ..claims };
        let (_, signature) = token.split_once('.').unwrap();
        let forged = format!("{}.{signature}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap()));
        for bad in [forged.as_str(), "", ".", "x", &token[..token.len() - 1]] {
            assert_eq!(Claims::read(bad, &store), None, "{bad}");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(Claims::read(&token, &Store::open(elsewhere.path()).unwrap()), None, "another store's");
    }
}
