//! Credentials, and what a registry's 401 asks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The source of user names and passwords. A credential is for one registry, and for the token server it names.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// No credentials.
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

/// How long a login is remembered: finding it may read a file and start a credential helper.
const REMEMBERED: Duration = Duration::from_secs(60);

/// User and password, and when they were looked up.
type Remembered = (Option<(String, String)>, Instant);

/// Credentials that are not looked up for each request.
pub struct Logins {
    credentials: Credentials,
    known: Mutex<HashMap<String, Remembered>>,
}

impl Logins {
    /// Returns the logins of `credentials`.
    pub fn new(credentials: Credentials) -> Self {
        Logins { credentials, known: Mutex::default() }
    }

    /// Returns user and password for `registry`.
    pub fn find(&self, registry: &str) -> Option<(String, String)> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(registry) {
            Some((login, at)) if at.elapsed() < REMEMBERED => login.clone(),
            _ => {
                let login = self.credentials.find(registry);
                known.insert(registry.to_owned(), (login.clone(), Instant::now()));
                login
            }
        }
    }
}

/// The authentication that a `WWW-Authenticate` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from `realm`.
    Bearer {
        /// URL of the token server.
        realm: String,
        /// Its name for the registry.
        service: Option<String>,
    },
}

impl Challenge {
    /// Parses all challenges of one header; those of unknown schemes are left out (SV-04).
    pub fn parse_all(header: &str) -> Vec<Challenge> {
        let mut found: Vec<(String, HashMap<String, String>)> = Vec::new();
        let mut rest = header;
        loop {
            rest = rest.trim_start_matches([',', ' ', '\t']);
            let (word, after) = rest.split_at(rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len()));
            if word.is_empty() {
                match rest.chars().next() {
                    // A lone `=` belongs to nothing.
                    Some(_) => rest = &rest[1..],
                    None => break,
                }
                continue;
            }
            match (after.trim_start().strip_prefix('='), found.last_mut()) {
                (Some(value), Some((_, parameters))) => {
                    let (value, next) = value_of(value.trim_start());
                    parameters.entry(word.to_lowercase()).or_insert(value);
                    rest = next;
                }
                _ => {
                    found.push((word.to_lowercase(), HashMap::new()));
                    rest = after;
                }
            }
        }
        found.into_iter().filter_map(|(scheme, parameters)| Challenge::of(&scheme, parameters)).collect()
    }

    fn of(scheme: &str, mut parameters: HashMap<String, String>) -> Option<Challenge> {
        match scheme {
            "basic" => Some(Challenge::Basic),
            "bearer" => {
                let realm = parameters.remove("realm").filter(|realm| !realm.is_empty())?;
                Some(Challenge::Bearer { realm, service: parameters.remove("service").filter(|name| !name.is_empty()) })
            }
            _ => None,
        }
    }
}

/// Takes a value, quoted or not, off the front of a text.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, char) in quoted.char_indices() {
        match char {
            _ if is_escaped => {
                value.push(char);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(char),
        }
    }
    (value, "")
}

/// Returns the header that logs in with user and password.
pub fn basic(login: &(String, String)) -> String {
    let (user, password) = login;
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_parsed() {
        // SV-04
        let bearer = |realm: &str, service: Option<&str>| Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        };
        let full = r#"Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="a,b""#;
        let own = bearer("https://auth.example.com/token", Some("registry.example.com"));
        for (header, expected) in [
            (full, vec![own.clone()]),
            ("Basic realm=x", vec![Challenge::Basic]),
            ("Basic", vec![Challenge::Basic]),
            ("bAsIc", vec![Challenge::Basic]),
            ("Negotiate", vec![]),
            ("", vec![]),
            (r#"BEARER Realm="https://a/t""#, vec![bearer("https://a/t", None)]),
            (r#"Bearer realm = "https://a/t" , service = s"#, vec![bearer("https://a/t", Some("s"))]),
            (
                r#"Basic realm="x", Bearer realm="https://a/t",service="s""#,
                vec![Challenge::Basic, bearer("https://a/t", Some("s"))],
            ),
            (
                r#"Negotiate, Bearer realm="https://a/t", Basic realm="a \"b, c\"""#,
                vec![bearer("https://a/t", None), Challenge::Basic],
            ),
            (r#"Bearer service="s""#, vec![]),
            (r#"Bearer realm="https://a/t"#, vec![bearer("https://a/t", None)]),
            ("=,=", vec![]),
        ] {
            assert_eq!(Challenge::parse_all(header), expected, "{header}");
        }
        assert_eq!(Challenge::parse_all(full), [own]);
    }
}
