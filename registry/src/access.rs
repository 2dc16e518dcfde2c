//! Who may use the registry.

use crate::error::Failure;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// Who may use the registry.
#[derive(Clone)]
pub enum Access {
    /// Everybody who reaches it: for loopback addresses.
    Open,
    /// These users with these passwords.
    Basic(Vec<(String, String)>),
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Access::Open => formatter.write_str("Open"),
            Access::Basic(users) => write!(formatter, "Basic({} users)", users.len()),
        }
    }
}

impl Access {
    /// Refuses a request whose login is missing or wrong.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Access::Basic(users) = self else { return Ok(()) };
        let login = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let login =
            login.and_then(|value| value.strip_prefix("Basic ")).and_then(|encoded| STANDARD.decode(encoded).ok());
        let login = login.ok_or_else(Failure::unauthorized)?;
        // Every user is compared, so that the time tells nothing.
        let known = users.iter().fold(false, |known, (user, password)| {
            known | bool::from(format!("{user}:{password}").as_bytes().ct_eq(&login))
        });
        if known { Ok(()) } else { Err(Failure::unauthorized()) }
    }
}
