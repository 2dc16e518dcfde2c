//! `[mirrors."host"]` of `slipway.toml`: registries of which a copy is kept of what is read.

use super::file::{ConfigurationError, wrong};
use super::logins::Login;
use crate::configuration::document::check_host;
use crate::configuration::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Names of Docker Hub's registry.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A mirror as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MirrorText {
    /// The registry that is asked, if that is another one.
    url: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    /// MiB that are kept.
    limit_mib: u64,
    /// Minutes for which a tag is fresh.
    fresh_minutes: u64,
    /// Whether it answers in the embedded registry for names that say no registry.
    default: bool,
}

impl Default for MirrorText {
    fn default() -> Self {
        MirrorText {
            url: None,
            username: None,
            password: None,
            limit_mib: 20 * 1024,
            fresh_minutes: 60,
            default: false,
        }
    }
}

/// A mirror, secrets read.
#[derive(Debug, Clone)]
pub struct MirrorSection {
    /// The registry that is asked: a host, with its port if it is not the usual one.
    pub upstream: String,
    /// Whether it speaks plain HTTP, if the URL says so.
    pub plain_http: Option<bool>,
    /// The login to send.
    pub login: Option<Login>,
    /// Bytes that are kept.
    pub limit: u64,
    /// How long a tag is fresh.
    pub fresh: Duration,
    /// Whether it answers in the embedded registry for names that say no registry.
    pub is_default: bool,
}

/// Checks the mirrors of the configuration; files are looked for in `directory`.
pub(crate) fn mirrors(
    texts: &BTreeMap<String, MirrorText>,
    directory: &Path,
) -> Result<BTreeMap<String, MirrorSection>, ConfigurationError> {
    let mut known: BTreeMap<String, MirrorSection> = BTreeMap::new();
    for (host, text) in texts {
        let place = || format!("mirrors `{host}`");
        let name = if DOCKER_HUB.contains(&host.as_str()) { DOCKER_HUB[0] } else { host };
        check_host(name).map_err(|problem| wrong(place(), problem))?;
        let section = text.read(name, directory).map_err(|problem| wrong(place(), problem))?;
        if section.is_default && known.values().any(|other| other.is_default) {
            return Err(wrong(place(), "`default` stands in two mirrors: a name without a registry means one of them"));
        }
        if known.insert(name.to_owned(), section).is_some() {
            return Err(wrong(place(), format!("{name} stands there under two names")));
        }
    }
    Ok(known)
}

impl MirrorText {
    fn read(&self, host: &str, directory: &Path) -> Result<MirrorSection, String> {
        let login = match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                Some(Login { username: username.clone(), password: password.read(directory)? })
            }
            (None, None) => None,
            _ => return Err("a login is a `username` and a `password`".to_owned()),
        };
        if self.limit_mib == 0 {
            return Err("limit_mib: a mirror that may keep nothing is none: leave the mirror out".to_owned());
        }
        let (upstream, plain_http) = match &self.url {
            None => (host.to_owned(), None),
            Some(url) => upstream(url).map_err(|problem| format!("url: {problem}"))?,
        };
        let (limit, fresh) = (self.limit_mib.saturating_mul(1024 * 1024), self.fresh_minutes.saturating_mul(60));
        let fresh = Duration::from_secs(fresh);
        Ok(MirrorSection { upstream, plain_http, login, limit, fresh, is_default: self.default })
    }
}

/// Reads the URL of a registry: its host, and whether it speaks plain HTTP.
fn upstream(text: &str) -> Result<(String, Option<bool>), String> {
    let wrong = |problem: &str| format!("`{}` {problem}: https://mirror.example.com is a URL", shown(text));
    let url = url::Url::parse(text).map_err(|_| wrong("is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a login: write `username` and `password` beside it".to_owned());
    }
    let host = url.host_str().ok_or_else(|| wrong("has no host"))?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(wrong("has a path: a registry has none"));
    }
    let host = if DOCKER_HUB.contains(&host) { DOCKER_HUB[0] } else { host };
    let name = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    match url.scheme() {
        "https" => Ok((name, Some(false))),
        "http" => Ok((name, Some(true))),
        _ => Err(wrong("is neither https nor http")),
    }
}

/// Returns a text that may hold a login without what stands in front of the host.
fn shown(text: &str) -> &str {
    text.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::Configuration;
    use std::path::Path;
    use std::time::Duration;

    fn parse(text: &str) -> Result<Configuration, String> {
        Configuration::parse(text, Path::new(".")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mirror_has_a_registry_and_limits() {
        let parsed = parse("[mirrors.\"docker.io\"]\n[mirrors.\"ghcr.io\"]\nurl = \"http://10.0.0.5:5000\"\nlimit_mib = 1\nfresh_minutes = 2\ndefault = true\nusername = \"me\"\npassword = \"hush\"").unwrap();
        let hub = &parsed.mirrors["docker.io"];
        assert_eq!((hub.upstream.as_str(), hub.plain_http, hub.is_default), ("docker.io", None, false));
        assert!(hub.login.is_none() && hub.limit == 20 << 30 && hub.fresh == Duration::from_secs(3600));
        let other = &parsed.mirrors["ghcr.io"];
        assert_eq!((other.upstream.as_str(), other.plain_http, other.limit), ("10.0.0.5:5000", Some(true), 1 << 20));
        assert!(other.is_default && other.login.is_some() && other.fresh == Duration::from_secs(120));
        let hub = parse("[mirrors.\"index.docker.io\"]\nurl = \"https://registry-1.docker.io\"").unwrap();
        assert_eq!(hub.mirrors["docker.io"].upstream, "docker.io");
    }

    #[test]
    fn mistakes_in_mirrors_are_named() {
        for (keys, expected) in [
            ("url = \"mirror.example.com\"", "is not a URL"),
            ("url = \"https://mirror.example.com/hub\"", "has a path"),
            ("url = \"ftp://mirror.example.com\"", "neither https nor http"),
            ("url = \"https://me:hush@mirror.example.com\"", "it holds a login"),
            ("username = \"me\"", "a `username` and a `password`"),
            ("limit_mib = 0", "limit_mib"),
            ("limt_mib = 1", "did you mean `limit_mib`?"),
            ("default = true\n[mirrors.\"ghcr.io\"]\ndefault = true", "`default` stands in two mirrors"),
            ("[mirrors.\"index.docker.io\"]", "under two names"),
            ("[mirrors.\"https://x\"]", "is not a host"),
        ] {
            let error = parse(&format!("[mirrors.\"docker.io\"]\n{keys}\n")).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hush"), "{keys}: {error}");
        }
    }
}
