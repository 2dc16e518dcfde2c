//! `slipway.toml` as it is written: every key, its default, and what is wrong with it.

use super::checks::check_public_url;
use crate::configuration::document::{ReadError, RepositoryDocument, compile, from_toml};
use crate::configuration::forges::{ForgeText, Forges};
use crate::configuration::hub::Hub;
use crate::configuration::limits::Limits;
use crate::configuration::logins::Login;
use crate::configuration::logins::{GitHostText, GitHosts, git_hosts, users};
use crate::configuration::mirror_section::{MirrorSection, MirrorText, mirrors};
use crate::configuration::network::Network;
use crate::configuration::notification_section::{Notification, endpoints};
use crate::configuration::proxies::Proxies;
use crate::configuration::registries::Registry;
use crate::configuration::registries::{RegistryText, check_path_pattern, registries};
use crate::configuration::registry_section::RegistrySection;
use crate::configuration::retention::Retention;
use crate::configuration::sandbox::Sandbox;
use crate::configuration::secret::Secret;
use crate::configuration::settings::{Repository, Scope, Settings, Token};
use crate::configuration::sign_in::{SignIn, SignInText};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// It is not TOML, or a key is unknown or of another type.
    #[error(transparent)]
    Syntax(#[from] ReadError),
    /// A value makes no sense.
    #[error("{place}: {problem}")]
    Value {
        /// Where it stands.
        place: String,
        /// The mistake.
        problem: String,
    },
}

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// Addresses, workers, database.
    pub server: Server,
    /// Limits of builds.
    pub limits: Limits,
    /// Limits of steps, and the networks that they reach.
    pub sandbox: Sandbox,
    /// The image that Docker Hub's hooks run in.
    pub hub: Hub,
    /// How long builds, logs and deliveries are kept.
    pub retention: Retention,
    /// How the embedded registry is served.
    pub registry: RegistrySection,
    /// `[github]`: commit statuses, as `[forges."github.com"]` or that of a company's own GitHub.
    github: Github,
    /// Kinds and tokens of forges, by the host of clone URLs.
    #[serde(rename = "forges")]
    forge_texts: BTreeMap<String, ForgeText>,
    /// Where people sign in, and who administers the service.
    #[serde(rename = "sign_in")]
    sign_in_text: SignInText,
    /// Logins, and keys of hosts, by the host of a clone URL.
    git: BTreeMap<String, GitHostText>,
    /// Logins, and how registries are spoken to, by host.
    #[serde(rename = "registries")]
    registry_texts: BTreeMap<String, RegistryText>,
    /// Registries of which a copy is kept of what is read, by host.
    #[serde(rename = "mirrors")]
    mirror_texts: BTreeMap<String, MirrorText>,
    pub(super) tokens: Vec<TokenText>,
    pub(super) repositories: Vec<RepositoryDocument>,
    network: NetworkText,
    /// Registries, secrets and files read.
    #[serde(skip)]
    pub registries: BTreeMap<String, Registry>,
    /// Endpoints of the embedded registry, secrets read.
    #[serde(skip)]
    pub notifications: Vec<Notification>,
    /// Mirrors, secrets read.
    #[serde(skip)]
    pub mirrors: BTreeMap<String, MirrorSection>,
    /// The users of the embedded registry, with their passwords read.
    #[serde(skip)]
    pub registry_users: Vec<Login>,
    #[serde(skip)]
    git_hosts: GitHosts,
    #[serde(skip)]
    directory: PathBuf,
}

/// `[server]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where webhooks, API and pages are served.
    pub listen: String,
    /// The URL under which others reach it; links in commit statuses start with it.
    pub public_url: Option<String>,
    /// Where the registry is served.
    pub registry_listen: String,
    /// Passwords of the registry's users, by name; without any, everybody who reaches it may use it.
    registry_users: BTreeMap<String, Secret>,
    /// Whether everybody may use the registry though others than this machine reach it.
    registry_open: bool,
    /// Paths of the embedded registry whose images every build may read, with `*` and `**`.
    pub shared_images: Vec<String>,
    /// Worker processes that `serve` starts.
    pub workers: usize,
    /// URL of the database; a file in the data directory if it is not given.
    pub database: Option<String>,
    /// Whether everybody may see builds and logs; if not given, only where the server listens on loopback alone.
    pub anonymous_read: Option<bool>,
    /// Seconds between polls of a repository's refs for pushes that no delivery announced; 0 for none.
    pub reconcile_seconds: u64,
    /// Seconds between two looks at what the tag of a base image names, for repositories that are to be built again when it
    /// names another one; 0 for none.
    pub base_image_seconds: u64,
    /// Addresses and networks of proxies whose `X-Forwarded-For` is believed.
    trusted_proxies: Vec<String>,
    /// File that holds the key of secrets at rest; `secret.key` in the data directory if it is not given.
    pub secret_key_file: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: None,
            registry_listen: "127.0.0.1:5000".to_owned(),
            registry_users: BTreeMap::new(),
            registry_open: false,
            shared_images: vec!["base/*".to_owned()],
            workers: 1,
            database: None,
            anonymous_read: None,
            reconcile_seconds: 300,
            base_image_seconds: 900,
            trusted_proxies: Vec::new(),
            secret_key_file: None,
        }
    }
}

/// `[network]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NetworkText {
    /// Hosts, `host:port` and networks of addresses that repositories of the API may be fetched from besides public ones, and that
    /// their webhooks may be at.
    allow: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Github {
    api_url: String,
    token: Option<Secret>,
}

impl Default for Github {
    fn default() -> Self {
        Github { api_url: "https://api.github.com".to_owned(), token: None }
    }
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenText {
    pub(super) name: String,
    token: Secret,
    pub(super) scopes: Vec<Scope>,
    #[serde(default)]
    pub(super) repositories: Vec<String>,
}

pub(crate) fn wrong(place: impl Into<String>, problem: impl Into<String>) -> ConfigurationError {
    ConfigurationError::Value { place: place.into(), problem: problem.into() }
}

impl Configuration {
    /// Returns the JSON Schema of the file.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Configuration).to_value()
    }

    /// Reads a configuration; files that hold secrets are looked for in `directory`.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, ConfigurationError> {
        let mut parsed: Configuration = from_toml(text)?;
        directory.clone_into(&mut parsed.directory);
        parsed.registries = registries(&parsed.registry_texts, directory)?;
        parsed.mirrors = mirrors(&parsed.mirror_texts, directory)?;
        let shared = parsed.server.shared_images.iter().try_for_each(|path| check_path_pattern(path));
        shared.map_err(|problem| wrong("server.shared_images", problem))?;
        parsed.registry_users = users(&parsed.server.registry_users, directory)?;
        parsed.git_hosts = git_hosts(&parsed.git, directory)?;
        parsed.registry.check().map_err(|problem| wrong("registry", problem))?;
        let told = endpoints(&parsed.registry.notifications, directory);
        parsed.notifications = told.map_err(|problem| wrong("registry", problem))?;
        parsed.limits.check().map_err(|(place, problem)| wrong(place, problem))?;
        if let Some(key) = parsed.sandbox.zero_limit() {
            return Err(wrong(format!("sandbox.{key}"), "no step could stay below 0: leave the key out, or raise it"));
        }
        if parsed.server.listen == parsed.server.registry_listen && !parsed.server.listen.ends_with(":0") {
            return Err(wrong(
                "server",
                "`listen` and `registry_listen` are the same address: give each a port of its own",
            ));
        }
        parsed.retention.check().map_err(|problem| wrong("retention", problem))?;
        parsed.hub.check().map_err(|problem| wrong("hub", problem))?;
        // Everything is read once here, so that mistakes show at the start and not at the first delivery.
        parsed.settings(([127, 0, 0, 1], 0).into())?;
        Ok(parsed)
    }

    /// Returns the names of the repositories that this file defines.
    pub fn repository_names(&self) -> Vec<String> {
        self.repositories.iter().map(|document| document.name.clone()).collect()
    }

    /// Returns user and password by the host of a clone URL.
    pub fn git_credentials(&self) -> BTreeMap<String, (String, String)> {
        let logins = self.git_hosts.logins.iter();
        logins.map(|(host, login)| (host.clone(), (login.username.clone(), login.password.clone()))).collect()
    }

    /// Returns the public keys of hosts that are fetched from over ssh.
    pub fn git_host_keys(&self) -> BTreeMap<String, Vec<String>> {
        self.git_hosts.keys.clone()
    }

    /// Refuses an embedded registry at `address` where strangers could push images.
    pub fn check_registry(&self, address: SocketAddr) -> Result<(), ConfigurationError> {
        if address.ip().is_loopback() || self.server.registry_open || !self.registry_users.is_empty() {
            return Ok(());
        }
        Err(wrong(
            "server.registry_listen",
            format!(
                "everybody who reaches {address} could push images there: name who may in `[server.registry_users]`, \
                 listen on 127.0.0.1, or say `registry_open = true`"
            ),
        ))
    }

    /// Returns what the service works with when it listens on `address`.
    pub fn settings(&self, address: SocketAddr) -> Result<Settings, ConfigurationError> {
        let public_url = self.server.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let public_url = public_url.trim_end_matches('/').to_owned();
        check_public_url(&public_url).map_err(|problem| wrong("server.public_url", problem))?;
        let mut repositories: Vec<(RepositoryDocument, Repository)> = Vec::new();
        for document in &self.repositories {
            if repositories.iter().any(|(other, _)| other.name == document.name) {
                return Err(wrong("repositories", format!("`{}` stands there twice", document.name)));
            }
            repositories.push((document.clone(), self.repository(document)?));
        }
        let urls = repositories.iter().map(|(document, _)| document.clone_url.as_str());
        let network = Network::new(&self.network.allow, urls).map_err(|problem| wrong("network.allow", problem))?;
        self.check_tokens()?;
        let tokens = self.tokens.iter().map(|text| self.token(text)).collect::<Result<_, _>>()?;
        let forges = self.forges()?;
        self.check_forges(&forges)?;
        let sign_in = self.sign_in(&forges)?;
        // Behind a proxy on the same machine, where people sign in, everybody would see everything.
        let is_public = address.ip().is_loopback() && !sign_in.is_there();
        let anonymous_read = self.server.anonymous_read.unwrap_or(is_public);
        let proxies = Proxies::new(&self.server.trusted_proxies);
        let proxies = proxies.map_err(|problem| wrong("server.trusted_proxies", problem))?;
        let registry_users = self.registry_users.iter().map(|login| login.username.clone()).collect();
        Ok(Settings {
            public_url,
            repositories,
            network,
            tokens,
            forges,
            sign_in,
            anonymous_read,
            registry_users,
            proxies,
        })
    }

    fn sign_in(&self, forges: &Forges) -> Result<SignIn, ConfigurationError> {
        let sign_in = SignIn::read(&self.sign_in_text, &self.forge_texts, forges, &self.directory)?;
        if !sign_in.providers.is_empty() && self.server.public_url.is_none() {
            let problem = "`server.public_url` is missing: providers send people back to it, and to nowhere else";
            return Err(wrong("sign_in", problem));
        }
        Ok(sign_in)
    }

    pub(super) fn forges(&self) -> Result<Forges, ConfigurationError> {
        let mut forges = Forges::read(&self.forge_texts, &self.directory)?;
        if let Some(token) = &self.github.token {
            let token = token.read(&self.directory).map_err(|problem| wrong("github.token", problem))?;
            forges.add_github(&self.github.api_url, token).map_err(|problem| wrong("github", problem))?;
        }
        Ok(forges)
    }

    fn token(&self, text: &TokenText) -> Result<Token, ConfigurationError> {
        let place = || format!("tokens `{}`", text.name);
        let token = text.token.read(&self.directory).map_err(|problem| wrong(place(), problem))?;
        if token.len() < 16 {
            return Err(wrong(
                place(),
                "a token needs at least 16 characters: `openssl rand -hex 32` makes a good one",
            ));
        }
        Ok(Token::new(&text.name, &token, text.scopes.clone(), text.repositories.clone()))
    }

    fn repository(&self, document: &RepositoryDocument) -> Result<Repository, ConfigurationError> {
        let place = || format!("repositories `{}`", document.name);
        let mut keys = Vec::new();
        for secret in [&document.secret, &document.previous_secret].into_iter().flatten() {
            keys.push(secret.read(&self.directory).map_err(|problem| wrong(place(), problem))?);
        }
        let mut repository = compile(document, keys).map_err(|problem| wrong(place(), problem))?;
        for (webhook, written) in repository.webhooks.iter_mut().zip(&document.webhooks) {
            let key = written.secret.as_ref().map(|secret| secret.read(&self.directory)).transpose();
            webhook.key = key.map_err(|problem| wrong(place(), format!("webhook `{}`: {problem}", webhook.name)))?;
        }
        Ok(repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [server]
        workers = 2
        [registries."registry.example.com"]
        username = "me"
        password = "hush"
        [[tokens]]
        name = "ci"
        token = "0123456789abcdef"
        scopes = ["trigger"]
        [[repositories]]
        name = "team/app"
        clone_url = "https://example.com/team/app.git"
        secret = "a secret"
        image = "127.0.0.1:5000/team/app"
        [[repositories.rules]]
        tag = '/^v([0-9.]+)$/'
        tags = ['{\1}', "latest"]
    "#;

    #[test]
    fn a_configuration_is_read() {
        let parsed = Configuration::parse(GOOD, Path::new(".")).unwrap();
        assert_eq!(parsed.server.workers, 2);
        assert_eq!(parsed.registries["registry.example.com"].login.as_ref().unwrap().password, "hush");
        let settings = parsed.settings(([127, 0, 0, 1], 80).into()).unwrap();
        assert!(settings.anonymous_read && settings.repositories[0].1.rules.len() == 1);
        assert!(!format!("{parsed:?}").contains("hush"));
    }

    #[test]
    fn a_registry_that_others_reach_has_users_or_says_that_it_is_open() {
        let of = |keys: &str| Configuration::parse(&format!("[server]\n{keys}"), Path::new(".")).unwrap();
        let (local, anywhere) = (([127, 0, 0, 1], 5000).into(), ([0, 0, 0, 0], 5000).into());
        assert!(of("").check_registry(local).is_ok());
        let refused = of("").check_registry(anywhere).unwrap_err().to_string();
        assert!(refused.contains("[server.registry_users]"), "{refused}");
        assert!(of("registry_open = true").check_registry(anywhere).is_ok());
        let known = of("registry_users = { ci = \"hush\" }");
        assert!(known.check_registry(anywhere).is_ok());
        assert_eq!(
            (known.registry_users[0].username.as_str(), known.registry_users[0].password.as_str()),
            ("ci", "hush")
        );
        assert!(!format!("{known:?}").contains("hush"));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("workers = 2", "worker = 2", "line 3, column 9: unknown key `worker`; did you mean `workers`?"),
            ("team/app\"\n        clone", "app\"\n        clone", "namespace/name"),
            ("https://example.com", "ftp://example.com", "only https:// and http://, ssh://"),
            // SV-37
            ("https://example.com", "https://bot:pw@example.com", "clone_url holds credentials"),
            ("app.git", "app.git?private_token=x", "query"),
            ("v([0-9.]+)", "v([0-9.]+", "regular expression"),
            // WH-09
            ("secret = \"a secret\"", "secret = \"\"", "a secret is empty"),
            // US-14
            ("secret = \"a secret\"", "secret = \"abc\"", "guessed too easily"),
            ("[registries.\"registry", "[registries.\"https://registry", "write `registry.example.com`"),
            ("scopes = [\"trigger\"]", "scopes = [\"trigger\"]\nrepositories = [\"app\"]", "namespace/name"),
            ("tags = ['{\\1}'", "tags = ['{\\2}'", "has one group"),
            ("tag = '/^v([0-9.]+)$/'", "branch = 'main'", "is a name and no expression"),
            ("tag = '", "paths = [\"[a\"]\n        tag = '", "is not closed"),
            ("tag = '", "platforms = [\"linux/amd46\"]\n        tag = '", "did you mean `linux/amd64`?"),
            ("0123456789abcdef", "short", "at least 16 characters"),
            ("5000/team/app", "5000/Team/app", "`127.0.0.1:5000/Team/app`"),
            ("workers = 2", "registry_users = { \"a:b\" = \"x\" }", "without `:`"),
            ("tag = '", "branch = 'x'\n        tag = '", "either `branch` or `tag`"),
        ];
        for (from, to, expected) in cases {
            let error = Configuration::parse(&GOOD.replacen(from, to, 1), Path::new(".")).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
