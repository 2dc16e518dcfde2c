//! The configuration as the service works with it: checked, secrets read, everything looked up.

use crate::configuration::document::{Autotest, PullRequests, RepositoryDocument, Webhook};
use crate::configuration::forges::{ForgeSettings, Forges};
use crate::configuration::network::Network;
use crate::configuration::proxies::Proxies;
use crate::configuration::sign_in::SignIn;
use crate::rules::Rule;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The settings of the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Start of links to this service, without a slash at the end.
    pub public_url: String,
    /// The repositories of the configuration, as they are written and as they are meant.
    pub(crate) repositories: Vec<(RepositoryDocument, Repository)>,
    /// Where repositories that the API defines may be fetched from.
    pub(crate) network: Network,
    /// The API's tokens.
    pub tokens: Vec<Token>,
    /// The forges that are spoken to.
    pub(crate) forges: Forges,
    /// Where people sign in.
    pub(crate) sign_in: SignIn,
    /// Whether everybody may see builds and logs.
    pub anonymous_read: bool,
    /// Names of the configured users of the embedded registry: no account has one of them.
    pub registry_users: Vec<String>,
    /// The proxies that say whom they forward.
    pub(super) proxies: Proxies,
}

impl Settings {
    /// Returns the names of the repositories of the configuration.
    pub fn repository_names(&self) -> impl Iterator<Item = &str> {
        self.repositories.iter().map(|(document, _)| document.name.as_str())
    }

    /// Returns the address that a request comes from, which trusted proxies forwarded.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.proxies.client(peer, headers)
    }

    /// Returns the forge that a repository is on: the one that it names, or else the one of its clone URL.
    pub(crate) fn forge_of(&self, repository: &Repository, delivered_by: Option<&str>) -> Option<&ForgeSettings> {
        let found = match &repository.forge {
            Some(host) => self.forges.named(host),
            None => self.forges.of(&repository.clone_url, delivered_by),
        };
        // One that nobody has made the App of is not spoken to yet.
        found.filter(|forge| forge.is_spoken_to())
    }

    /// Returns what may be fetched from besides public addresses: hosts, with or without a port, and networks.
    pub fn allowed_addresses(&self) -> (Vec<String>, Vec<(IpAddr, u8)>) {
        self.network.allowed()
    }
}

/// A repository that is built.
#[derive(Clone)]
pub(crate) struct Repository {
    /// `namespace/name`.
    pub name: String,
    /// The forge's name of it: `owner/name`.
    pub forge_name: String,
    /// The forge that it is on, if its clone URL does not say.
    pub forge: Option<String>,
    /// Where commits are fetched from.
    pub clone_url: String,
    /// Where images go, without a tag.
    pub image: String,
    /// The image that another service builds of the same source, without a tag.
    pub shadow_of: Option<String>,
    /// Keys that deliveries are signed with: the present one and, during a change, the one before.
    pub(crate) keys: Vec<String>,
    /// The default branch, if deliveries do not say.
    pub default_branch: Option<String>,
    /// Permissions of the repository's own file, if the rules come from there.
    pub own_rules: Option<OwnRules>,
    /// Which pull requests are built.
    pub pull_requests: PullRequests,
    /// For how many days images of pull requests have tags, if they have any.
    pub pull_request_tag_days: Option<u32>,
    /// Whether comments on pull requests tell of their images.
    pub pull_request_comments: bool,
    /// Whether builds of pull requests from forks wait for somebody's approval.
    pub pull_requests_need_approval: bool,
    /// Whether Docker Hub's hooks and tests run.
    pub hub_hooks: bool,
    /// Which pull requests are tested, of those that are built.
    pub autotest: Autotest,
    /// Whether it is built again when a base image is another one.
    pub base_image_rebuild: bool,
    /// Repositories whose new images let it be built again.
    pub links: Vec<String>,
    /// Whether submodules are fetched where a rule does not say.
    pub submodules: bool,
    /// Images that its builds may read besides public ones and their own.
    pub may_read: Vec<String>,
    /// Webhooks that are notified of its builds.
    pub(crate) webhooks: Vec<Webhook>,
    /// Rules: which pushes build what.
    pub rules: Vec<Rule>,
}

/// The permissions of a repository's own file.
#[derive(Debug, Clone)]
pub(crate) struct OwnRules {
    /// The file, from the root of the repository.
    pub path: String,
    /// Secrets that it may name.
    pub secrets: Vec<String>,
    /// Patterns of the images that it may name besides the repository's and those below it.
    pub images: Vec<String>,
}

impl Repository {
    /// Returns where the builds of a rule go, without a tag.
    pub(crate) fn image_of<'r>(&'r self, rule: &'r Rule) -> &'r str {
        rule.image.as_deref().unwrap_or(&self.image)
    }

    /// Returns where its images go, each once: first the image of the repository.
    pub(crate) fn images(&self) -> Vec<&str> {
        let mut images = vec![self.image.as_str()];
        for image in self.rules.iter().filter_map(|rule| rule.image.as_deref()) {
            if !images.contains(&image) {
                images.push(image);
            }
        }
        images
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Repository({})", self.name)
    }
}

/// A permission of a token; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Seeing builds and logs.
    Read,
    /// Starting, cancelling and repeating builds.
    Trigger,
    /// Changing repositories, rules, secrets and the queue.
    Admin,
}

impl Scope {
    /// Returns the scope of this name.
    pub fn parse(name: &str) -> Option<Scope> {
        [Scope::Read, Scope::Trigger, Scope::Admin].into_iter().find(|scope| scope.as_str() == name)
    }

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Trigger => "trigger",
            Scope::Admin => "admin",
        }
    }
}

/// A token of the API; only its hash is kept.
#[derive(Debug, Clone)]
pub struct Token {
    /// Shows who triggered a build.
    pub name: String,
    /// Its permissions.
    pub scopes: Vec<Scope>,
    /// Repositories that it is good for; all, if there are none.
    pub repositories: Vec<String>,
    /// The rights of its owner in each repository, as far as the token is good for it; `None` where nothing but the above counts.
    grants: Option<Arc<Grants>>,
    hash: [u8; 32],
}

/// The rights of somebody, by the name of a repository.
pub(crate) type Grants = BTreeMap<String, Scope>;

impl Token {
    /// Returns a token of the configuration.
    pub fn new(name: &str, token: &str, scopes: Vec<Scope>, repositories: Vec<String>) -> Self {
        Token { name: name.to_owned(), hash: Sha256::digest(token).into(), scopes, repositories, grants: None }
    }

    /// Returns a token that is known by its SHA-256.
    pub(crate) fn stored(name: &str, hash: [u8; 32], scopes: Vec<Scope>, repositories: Vec<String>) -> Self {
        Token { name: name.to_owned(), hash, scopes, repositories, grants: None }
    }

    /// Returns what stands for somebody who is known: they may these scopes as far as `grants` go, and everywhere without.
    pub(crate) fn of_owner(name: &str, scopes: Vec<Scope>, grants: Option<Arc<Grants>>) -> Self {
        Token { name: name.to_owned(), hash: [0; 32], scopes, repositories: Vec::new(), grants }
    }

    /// Returns the repositories that it lets see; `None` for all.
    pub(crate) fn only(&self) -> Option<Vec<String>> {
        match &self.grants {
            Some(grants) => Some(grants.keys().filter(|name| self.allows(Scope::Read, Some(name))).cloned().collect()),
            None => (!self.repositories.is_empty()).then(|| self.repositories.clone()),
        }
    }

    /// Tells whether it stands for somebody whose rights differ by repository.
    pub(crate) fn has_owner(&self) -> bool {
        self.grants.is_some()
    }

    /// Tells whether the token may be used for `scope`, and for `repository` if one is meant.
    pub fn allows(&self, scope: Scope, repository: Option<&str>) -> bool {
        let scoped = self.scopes.iter().any(|granted| *granted >= scope);
        let here = match repository {
            Some(repository) => {
                let is_granted = |grants: &Arc<Grants>| grants.get(repository).is_some_and(|granted| *granted >= scope);
                let is_named =
                    self.repositories.is_empty() || self.repositories.iter().any(|known| known == repository);
                is_named && self.grants.as_ref().is_none_or(is_granted)
            }
            None => self.repositories.is_empty() && self.grants.is_none(),
        };
        scoped && here
    }
}

impl Settings {
    /// Returns the token of the configuration that somebody presented; takes as long for one that is unknown.
    pub fn token(&self, presented: &str) -> Option<&Token> {
        self.token_by_hash(&Sha256::digest(presented).into())
    }

    /// Returns the token of the configuration with this SHA-256.
    pub(crate) fn token_by_hash(&self, hash: &[u8; 32]) -> Option<&Token> {
        self.tokens.iter().fold(None, |found, token| if token.hash.ct_eq(hash).into() { Some(token) } else { found })
    }
}
