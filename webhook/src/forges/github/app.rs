//! The App that slipway is on a GitHub: its key, and the short proof that a request comes from it.

use octocrab::auth::{EncodingKey, create_jwt};
use octocrab::models::AppId;
use std::fmt;

/// A GitHub App.
#[derive(Clone)]
pub(crate) struct App {
    /// Its number.
    pub id: u64,
    /// The secret that its deliveries are signed with.
    pub secret: Option<String>,
    key: EncodingKey,
}

impl fmt::Debug for App {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "App({})", self.id)
    }
}

impl App {
    /// Returns an App with its private key, which GitHub gives as PEM.
    pub(crate) fn new(id: u64, private_key: &str, secret: Option<String>) -> Result<App, String> {
        let wrong = |_| "the private key is not an RSA key in PEM, as GitHub gives it".to_owned();
        let key = EncodingKey::from_rsa_pem(private_key.as_bytes()).map_err(wrong)?;
        Ok(App { id, secret, key })
    }

    /// Returns a token with which the App asks in its own name: good for nine minutes, GitHub takes none for more than ten.
    pub(crate) fn proof(&self) -> Result<String, String> {
        create_jwt(AppId(self.id), &self.key).map_err(|error| format!("signing as App {}: {error}", self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_of_rsa_and_is_not_shown() {
        for text in ["", "hush", "-----BEGIN RSA PRIVATE KEY-----\naHVzaA==\n-----END RSA PRIVATE KEY-----\n"] {
            let said = App::new(7, text, None).unwrap_err();
            assert!(said.contains("RSA") && !said.contains("hush"), "{said}");
        }
    }
}
