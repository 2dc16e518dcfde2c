//! Users and passwords in the configuration.

use super::file::{ConfigurationError, wrong};
use crate::configuration::document::check_host;
use crate::configuration::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A login as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginText {
    username: String,
    password: Secret,
}

/// A user and a password.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Login({})", self.username)
    }
}

/// Reads the logins of a section of the configuration, by host.
pub(crate) fn logins(
    texts: &BTreeMap<String, LoginText>,
    section: &str,
    directory: &Path,
) -> Result<BTreeMap<String, Login>, ConfigurationError> {
    let mut logins = BTreeMap::new();
    for (host, text) in texts {
        check_host(host).map_err(|problem| wrong(section, problem))?;
        if text.username.is_empty() || text.username.contains(|char: char| char.is_control()) {
            return Err(wrong(format!("{section} `{host}`"), "the username is empty or holds control characters"));
        }
        let password =
            text.password.read(directory).map_err(|problem| wrong(format!("{section} `{host}`"), problem))?;
        logins.insert(host.clone(), Login { username: text.username.clone(), password });
    }
    Ok(logins)
}

/// Reads the users of the embedded registry.
pub(crate) fn users(texts: &BTreeMap<String, Secret>, directory: &Path) -> Result<Vec<Login>, ConfigurationError> {
    let mut users = Vec::new();
    for (username, secret) in texts {
        let place = || format!("server.registry_users `{username}`");
        if username.is_empty() || username.contains(':') {
            return Err(wrong(place(), "a user has a name without `:`"));
        }
        let password = secret.read(directory).map_err(|problem| wrong(place(), problem))?;
        users.push(Login { username: username.clone(), password });
    }
    Ok(users)
}
