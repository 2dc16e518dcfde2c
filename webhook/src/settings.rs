//! The configuration as the service works with it: checked, secrets read, everything looked up.

use crate::rules::Rule;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// What the service knows of the world.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Start of links to this service, without a slash at the end.
    pub public_url: String,
    /// The repositories.
    pub repositories: Vec<Repository>,
    /// The API's tokens.
    pub tokens: Vec<Token>,
    /// How the forge is told about builds.
    pub(crate) forge: Forge,
    /// Whether everybody may see builds and logs.
    pub anonymous_read: bool,
}

/// The forge's API.
#[derive(Clone)]
pub(crate) struct Forge {
    pub api_url: String,
    pub token: Option<String>,
}

impl fmt::Debug for Forge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Forge({})", self.api_url)
    }
}

/// A repository that is built.
#[derive(Clone)]
pub struct Repository {
    /// `namespace/name`.
    pub name: String,
    /// What the forge calls it: `owner/name`.
    pub forge_name: String,
    /// Where commits are fetched from.
    pub clone_url: String,
    /// Where images go, without a tag.
    pub image: String,
    /// Keys that deliveries are signed with: the present one and, during a change, the one before.
    pub(crate) secrets: Vec<String>,
    /// What is built when.
    pub rules: Vec<Rule>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Repository({})", self.name)
    }
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Seeing builds and logs.
    Read,
    /// Starting and cancelling builds; includes seeing them.
    Trigger,
}

/// A token of the API; only its hash is kept.
#[derive(Debug, Clone)]
pub struct Token {
    /// Shows who triggered a build.
    pub name: String,
    hash: [u8; 32],
    scopes: Vec<Scope>,
    repositories: Vec<String>,
}

impl Token {
    /// Returns a token; without repositories it is good for all.
    pub fn new(name: &str, token: &str, (scopes, repositories): (Vec<Scope>, Vec<String>)) -> Self {
        Token { name: name.to_owned(), hash: Sha256::digest(token).into(), scopes, repositories }
    }

    /// Tells whether the token may be used for `scope`, and for `repository` if one is meant.
    pub fn allows(&self, scope: Scope, repository: Option<&str>) -> bool {
        let scoped = self.scopes.contains(&scope) || scope == Scope::Read && self.scopes.contains(&Scope::Trigger);
        let here = match repository {
            Some(repository) => {
                self.repositories.is_empty() || self.repositories.iter().any(|known| known == repository)
            }
            None => self.repositories.is_empty(),
        };
        scoped && here
    }
}

impl Settings {
    /// Returns the token that somebody presented; takes as long for one that is unknown.
    pub fn token(&self, presented: &str) -> Option<&Token> {
        let hash: [u8; 32] = Sha256::digest(presented).into();
        self.tokens.iter().fold(None, |found, token| if token.hash.ct_eq(&hash).into() { Some(token) } else { found })
    }

    /// Returns the repository `name`.
    pub fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.iter().find(|repository| repository.name == name)
    }
}
