//! Credentials, and what a registry's 401 asks for: Basic, or a token from its token server.

use crate::Error;
use crate::patience::Patience;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::path::PathBuf;

/// Largest answer of a token server that is read.
const MAX_TOKEN: usize = 1024 * 1024;
/// Hosts that may be each other's token server.
const DOCKER_HUB: [&str; 3] = ["docker.io", "registry-1.docker.io", "auth.docker.io"];

/// Where user names and passwords come from. A credential is sent to its own host only.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nobody logs in anywhere.
    None,
    /// These by host, and for others docker's `config.json`, with its credential helpers.
    Docker(HashMap<String, (String, String)>),
    /// User and password by host.
    Fixed(HashMap<String, (String, String)>),
}

impl Credentials {
    /// Returns docker's own credentials.
    pub fn docker() -> Self {
        Credentials::Docker(HashMap::new())
    }

    /// Returns user and password for `registry`.
    pub fn find(&self, registry: &str) -> Option<(String, String)> {
        match self {
            Credentials::None => None,
            Credentials::Fixed(known) => known.get(registry).cloned(),
            Credentials::Docker(known) if known.contains_key(registry) => known.get(registry).cloned(),
            Credentials::Docker(_) => {
                let server = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
                match docker_credential::get_credential(server) {
                    Ok(docker_credential::DockerCredential::UsernamePassword(user, password)) => Some((user, password)),
                    _ => None,
                }
            }
        }
    }

    /// Returns where docker keeps its credentials, for messages.
    pub fn docker_file() -> PathBuf {
        PathBuf::from("~/.docker/config.json")
    }
}

/// What a `WWW-Authenticate` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from `realm`.
    Bearer {
        /// URL of the token server.
        realm: String,
        /// What it calls the registry.
        service: Option<String>,
    },
}

impl Challenge {
    /// Parses the header; unknown schemes are `None`.
    pub fn parse(header: &str) -> Option<Challenge> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = parameters(rest);
        let realm = parameters.get("realm")?.clone();
        Some(Challenge::Bearer { realm, service: parameters.get("service").cloned() })
    }
}

/// Parses `key="value", key=value`.
fn parameters(text: &str) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        parameters.insert(key.trim().to_lowercase(), value.to_owned());
        rest = next.trim_start_matches([',', ' ']);
    }
    parameters
}

/// Returns the header that logs in with user and password.
pub fn basic((user, password): &(String, String)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Gets a token for `scope` from the token server of a challenge.
///
/// The login goes along only if the token server belongs to the registry: another host could collect it.
pub async fn token(
    (http, patience): (&reqwest::Client, &Patience),
    (registry, plain_http): (&str, bool),
    (realm, service, scope): (&str, Option<&str>, &str),
    login: Option<(String, String)>,
) -> Result<String, Error> {
    let denied = || Error::Denied(registry.to_owned());
    let mut url =
        url::Url::parse(realm).map_err(|_| Error::document(registry, "its token server's address is malformed"))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && plain_http) {
        return Err(Error::document(registry, "its token server does not use https"));
    }
    let trusted = same_owner(registry, url.host_str().unwrap_or_default());
    for scope in scope.split(' ') {
        url.query_pairs_mut().append_pair("scope", scope);
    }
    if let Some(service) = service {
        url.query_pairs_mut().append_pair("service", service);
    }
    let mut request = http.get(url);
    if let Some(login) = login.filter(|_| trusted) {
        request = request.header("Authorization", basic(&login));
    }
    let response = request.send().await.map_err(|cause| Error::Transport { registry: registry.to_owned(), cause })?;
    if !response.status().is_success() {
        return Err(denied());
    }
    let body = crate::transport::bounded(response, MAX_TOKEN, (registry, patience)).await?;
    let answer: serde_json::Value = serde_json::from_slice(&body)
        .map_err(|_| Error::document(registry, "its token server did not answer with JSON"))?;
    let token = answer.get("token").or_else(|| answer.get("access_token")).and_then(|token| token.as_str());
    token.map(|token| format!("Bearer {token}")).ok_or_else(denied)
}

/// Tells whether a token server on `host` may see the registry's login.
fn same_owner(registry: &str, host: &str) -> bool {
    let registry_host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    registry_host == host
        || (DOCKER_HUB.contains(&registry_host) && DOCKER_HUB.contains(&host))
        || parent_of(host).is_some_and(|parent| parent == registry_host || Some(parent) == parent_of(registry_host))
}

fn parent_of(name: &str) -> Option<String> {
    name.split_once('.').map(|(_, rest)| rest.to_owned()).filter(|rest| rest.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_parsed() {
        let header = r#"Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="a,b""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example.com/token".into(),
            service: Some("registry.example.com".into()),
        };
        assert_eq!(Challenge::parse(header), Some(expected));
        assert_eq!(Challenge::parse("Basic realm=x"), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
    }

    // REG-22
    #[test]
    fn a_login_is_not_for_other_hosts() {
        assert!(same_owner("docker.io", "auth.docker.io"));
        assert!(same_owner("registry.example.com:5000", "registry.example.com"));
        assert!(same_owner("registry.example.com", "auth.example.com"));
        assert!(!same_owner("registry.example.com", "evil.com"));
        assert!(!same_owner("registry.example.com", "example.com.evil.org"));
    }
}
