//! Credentials, and what a registry's 401 asks for.

use crate::Reference;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_credential::DockerCredential;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The user of an identity token, as docker's credential helpers write it: the password is a refresh token of OAuth2.
pub(crate) const IDENTITY: &str = "<token>";

/// The source of user names and passwords. A credential is for one registry, and for the token server it names.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// No credentials.
    None,
    /// These by host, and for others docker's `config.json`, with its credential helpers.
    Docker {
        /// User and password by host.
        by_host: HashMap<String, (String, String)>,
        /// Docker's `config.json`; without one, only the logins by host count.
        config: Option<PathBuf>,
    },
    /// User and password by host.
    Fixed(HashMap<String, (String, String)>),
}

impl Credentials {
    /// Returns the credentials of docker's `config.json`.
    pub fn docker(config: Option<PathBuf>) -> Self {
        Credentials::Docker { by_host: HashMap::new(), config }
    }

    /// Returns user and password for an image's registry; an identity token has the user `<token>`.
    pub fn find(&self, reference: &Reference) -> Option<(String, String)> {
        let registry = reference.registry();
        match self {
            Credentials::None => None,
            Credentials::Fixed(known) => known.get(registry).cloned(),
            Credentials::Docker { by_host, .. } if by_host.contains_key(registry) => by_host.get(registry).cloned(),
            Credentials::Docker { config, .. } => {
                docker_login(&std::fs::read_to_string(config.as_deref()?).ok()?, reference)
            }
        }
    }

    /// Returns where docker keeps its credentials, for messages.
    pub fn docker_file() -> PathBuf {
        PathBuf::from("~/.docker/config.json")
    }
}

fn login_of(credential: DockerCredential) -> (String, String) {
    match credential {
        DockerCredential::UsernamePassword(user, password) => (user, password),
        DockerCredential::IdentityToken(token) => (IDENTITY.to_owned(), token),
    }
}

/// Finds the login for an image in the text of a `config.json`. Podman keeps logins for namespaces and repositories there,
/// too; credential helpers know registries alone, so one is asked once.
fn docker_login(config: &str, reference: &Reference) -> Option<(String, String)> {
    let find =
        |config: &str, server: &str| docker_credential::get_credential_from_reader(config.as_bytes(), server).ok();
    let parsed: serde_json::Value = serde_json::from_str(config).ok()?;
    let kept = serde_json::json!({ "auths": parsed["auths"].as_object().cloned().unwrap_or_default() }).to_string();
    let of_namespace = namespaces(reference).iter().find_map(|name| find(&kept, name));
    let server = if reference.registry() == "docker.io" { "https://index.docker.io/v1/" } else { reference.registry() };
    of_namespace.or_else(|| find(config, server)).map(login_of)
}

/// Returns the repository and the namespaces that it is in, the innermost first.
fn namespaces(reference: &Reference) -> Vec<String> {
    let (registry, repository) = (reference.registry(), reference.repository());
    let ends = repository.match_indices('/').map(|(at, _)| at).chain([repository.len()]);
    let mut names: Vec<_> = ends.map(|end| format!("{registry}/{}", &repository[..end])).collect();
    names.reverse();
    names
}

/// How long a login is remembered: finding it may read a file and start a credential helper.
const REMEMBERED: Duration = Duration::from_secs(60);

/// User and password, and when they were looked up.
type Remembered = (Option<(String, String)>, Instant);

/// Credentials that are not looked up for each request.
pub(crate) struct Logins {
    credentials: Credentials,
    known: Mutex<HashMap<String, Remembered>>,
}

impl Logins {
    /// Returns the logins of `credentials`.
    pub(crate) fn new(credentials: Credentials) -> Self {
        Logins { credentials, known: Mutex::default() }
    }

    /// Returns user and password for an image's registry.
    pub(crate) fn find(&self, reference: &Reference) -> Option<(String, String)> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{}/{}", reference.registry(), reference.repository());
        match known.get(&name) {
            Some((login, at)) if at.elapsed() < REMEMBERED => login.clone(),
            _ => {
                let login = self.credentials.find(reference);
                known.insert(name, (login.clone(), Instant::now()));
                login
            }
        }
    }
}

/// The authentication that a `WWW-Authenticate` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
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
    pub(crate) fn parse_all(header: &str) -> Vec<Challenge> {
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
pub(crate) fn basic(login: &(String, String)) -> String {
    let (user, password) = login;
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    // CQ-07
    #[test]
    fn logins_of_namespaces_come_before_those_of_the_registry() {
        // Passwords are the names under which they are kept.
        let auth = |name: &str| format!("\"{name}\":{{\"auth\":\"{}\"}}", STANDARD.encode(format!("user:{name}")));
        let names = ["r.io/team/app", "r.io/team", "r.io", "docker.io/me", "https://index.docker.io/v1/"];
        let identity = "\"i.io\":{\"auth\":\"\",\"identitytoken\":\"refresh\"}";
        let config = format!("{{\"auths\":{{{},{identity}}}}}", names.map(auth).join(","));
        let find = |image: &str| docker_login(&config, &Reference::parse(image).unwrap());
        for (image, name) in [
            ("r.io/team/app:1", names[0]),
            ("r.io/team/apple", names[1]),
            ("r.io/teams/app", names[2]),
            ("me/app", names[3]),
            ("debian", names[4]),
        ] {
            assert_eq!(find(image), Some(("user".to_owned(), name.to_owned())), "{image}");
        }
        assert_eq!(find("i.io/a"), Some((IDENTITY.to_owned(), "refresh".to_owned())));
        assert_eq!(find("other.io/a"), None);
    }

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
