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

/// A host of repositories as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GitHostText {
    username: Option<String>,
    password: Option<Secret>,
    /// Public keys of the host, for repositories over ssh: `ssh-ed25519 AAAA…`.
    #[serde(default)]
    host_keys: Vec<String>,
}

/// Reads `[git]`: logins by host, and the keys of hosts.
pub(crate) fn git_hosts(
    texts: &BTreeMap<String, GitHostText>,
    directory: &Path,
) -> Result<GitHosts, ConfigurationError> {
    let (mut login_texts, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for (host, text) in texts {
        let place = || format!("git `{host}`");
        match (&text.username, &text.password) {
            (Some(username), Some(password)) => {
                let login = LoginText { username: username.clone(), password: password.clone() };
                login_texts.insert(host.clone(), login);
            }
            (None, None) if !text.host_keys.is_empty() => {
                check_host(host).map_err(|problem| wrong("git", problem))?;
            }
            (None, _) => return Err(wrong(place(), "missing field `username`: a login has `username` and `password`")),
            (_, None) => return Err(wrong(place(), "missing field `password`: a login has `username` and `password`")),
        }
        for key in &text.host_keys {
            check_key_line(key).map_err(|problem| wrong(place(), problem))?;
        }
        if !text.host_keys.is_empty() {
            keys.insert(host.clone(), text.host_keys.clone());
        }
    }
    Ok(GitHosts { logins: logins(&login_texts, "git", directory)?, keys })
}

/// The logins and keys of `[git]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct GitHosts {
    /// Logins by host.
    pub logins: BTreeMap<String, Login>,
    /// Public keys by host.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Checks the public key of a host: its kind, a space, and the key in base64.
fn check_key_line(key: &str) -> Result<(), String> {
    let problem =
        || format!("host_keys: `{key}` is not a public key: `ssh-ed25519 AAAA…` is expected, without the host's name");
    let (kind, rest) = key.split_once(' ').ok_or_else(problem)?;
    let kinds = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];
    let is_encoded = rest.len() >= 40 && rest.chars().all(|char| char.is_ascii_alphanumeric() || "+/=".contains(char));
    if kinds.contains(&kind) && is_encoded { Ok(()) } else { Err(problem()) }
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
