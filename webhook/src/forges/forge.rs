//! Forges: how each signs its deliveries, and what they say. One small file per forge.

use super::check::CheckRequest;
use super::repository_id::repository_id;
use super::signature::Proof;
use super::{bitbucket, generic, gitea, github, gitlab};
use axum::http::HeaderMap;
use database::PullRequest;

/// A forge whose deliveries are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forge {
    /// GitHub.
    Github,
    /// Gitea, Forgejo and Gogs, which differ in the names of headers only.
    Gitea,
    /// GitLab.
    Gitlab,
    /// Bitbucket, in the cloud and on one's own machines.
    Bitbucket,
    /// A plain git server.
    Generic,
}

/// The headers of a delivery.
pub(crate) struct Headers<'h> {
    /// Name of the event.
    pub event: &'h str,
    /// The forge's id of the delivery.
    pub id: &'h str,
    /// The scope of that id.
    pub identity: Identity,
    /// The proof of its sender.
    pub proof: Proof<'h>,
}

/// The scope in which the id in a delivery's headers is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Of this delivery, and of every attempt at it.
    Own,
    /// Of something that several deliveries may be about.
    Shared,
    /// There is none.
    None,
}

/// Beginnings of the names of headers that say who sent what, and names that do.
const SAYING: [&str; 6] = ["x-github-", "x-hub-", "x-gitlab-", "x-gitea-", "x-forgejo-", "x-gogs-"];
const SAYING_ALONE: [&str; 6] =
    ["x-event-key", "x-hook-uuid", "x-request-uuid", "idempotency-key", "webhook-id", "content-type"];

/// The content of a delivery.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The forge's name of the repository, `owner/name`; `None` if the delivery does not name one.
    pub repository: Option<String>,
    /// The forge's id of it, which stays when it is renamed.
    pub repository_id: Option<String>,
    /// Where the repository is cloned from, if the delivery names it so.
    pub clone_url: Option<String>,
    /// An event of a forge.
    pub event: Event,
}

/// An event of a forge.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Event {
    /// The forge asks whether anybody listens.
    Ping,
    /// Refs were pushed.
    Pushes(Vec<Push>),
    /// A pull request has new commits, or has ended.
    Pull(Box<Pull>),
    /// Somebody asked for something at a check run.
    Check(Box<CheckRequest>),
    /// Something that builds nothing.
    #[default]
    Other,
}

/// A ref that was pushed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Push {
    /// Full name of the ref.
    pub git_ref: String,
    /// The object it pointed to before; `None` if it is new.
    pub before: Option<String>,
    /// The object it points to now, the tag object of an annotated tag; `None` if it was deleted.
    pub after: Option<String>,
    /// Full hash of the commit.
    pub commit: Option<String>,
    /// The commit's message.
    pub message: String,
    /// The user who pushed.
    pub by: String,
    /// The repository's default branch.
    pub default_branch: Option<String>,
}

/// A pull request that has new commits, or has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pull {
    /// The pull request.
    pub pull: PullRequest,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether the forge tells of other changes with the same event: then only another commit is one.
    pub may_be_unchanged: bool,
    /// Its newest commit before; `None` if it is new.
    pub before: Option<String>,
    /// Newest commit of the branch that it wants to change, if the forge says.
    pub target_commit: Option<String>,
    /// Its title.
    pub title: String,
    /// The user who opened it or pushed to it.
    pub by: String,
    /// The repository's default branch.
    pub default_branch: Option<String>,
}

impl Forge {
    /// Returns the forge of this name in a path.
    pub(crate) fn parse(name: &str) -> Option<Forge> {
        Some(match name {
            "github" => Forge::Github,
            "gitea" | "forgejo" | "gogs" => Forge::Gitea,
            "gitlab" => Forge::Gitlab,
            "bitbucket" => Forge::Bitbucket,
            "generic" => Forge::Generic,
            _ => return None,
        })
    }

    /// Returns its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Forge::Github => "github",
            Forge::Gitea => "gitea",
            Forge::Gitlab => "gitlab",
            Forge::Bitbucket => "bitbucket",
            Forge::Generic => "generic",
        }
    }

    /// Returns the forge that sent a request to this one's path: Gitea speaks GitHub's language with an accent.
    pub(crate) fn of(self, headers: &HeaderMap) -> Forge {
        let is_gitea = gitea::HEADERS.iter().any(|name| headers.contains_key(*name));
        if self == Forge::Github && is_gitea { Forge::Gitea } else { self }
    }

    /// Refuses headers that say who sent what and came twice: proxies and this server might read different ones. The error
    /// names the header.
    pub(crate) fn check(self, headers: &HeaderMap) -> Result<(), String> {
        let says = |name: &str| {
            SAYING.iter().any(|start| name.starts_with(start))
                || SAYING_ALONE.contains(&name)
                || self == Forge::Bitbucket && name == "x-request-id"
        };
        let twice = |name: &&axum::http::HeaderName| says(name.as_str()) && headers.get_all(*name).iter().count() > 1;
        match headers.keys().find(twice) {
            Some(name) => Err(name.to_string()),
            None => Ok(()),
        }
    }

    /// Reads the headers of a delivery; the error names the one that is missing.
    pub(crate) fn headers(self, headers: &HeaderMap) -> Result<Headers<'_>, &'static str> {
        match self {
            Forge::Github => github::headers(headers),
            Forge::Gitea => gitea::headers(headers),
            Forge::Gitlab => gitlab::headers(headers),
            Forge::Bitbucket => bitbucket::headers(headers),
            Forge::Generic => generic::headers(headers),
        }
    }

    /// Returns the header that proves who sent a delivery.
    pub(crate) fn proof_header(self) -> &'static str {
        match self {
            Forge::Github | Forge::Generic => "X-Hub-Signature-256",
            Forge::Gitea => "X-Gitea-Signature",
            Forge::Gitlab => "X-Gitlab-Token",
            Forge::Bitbucket => "X-Hub-Signature",
        }
    }

    /// Reads a delivery's payload, after its sender is proven.
    pub(crate) fn read(self, event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
        let message = match self {
            Forge::Github => github::read(event, json),
            Forge::Gitea => gitea::read(event, json),
            Forge::Gitlab => gitlab::read(event, json),
            Forge::Bitbucket => bitbucket::read(event, json),
            Forge::Generic => generic::read(json),
        }?;
        Ok(Message { repository_id: repository_id(self, json), ..message })
    }
}

/// Returns the value of a header, if it is text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
}

/// Returns an object's id; `None` for the zeros that stand for none. SHA-256 repositories have longer ids.
pub(super) fn object(id: &str) -> Option<String> {
    let hexadecimal = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let valid = matches!(id.len(), 40 | 64) && hexadecimal && id.bytes().any(|byte| byte != b'0');
    valid.then(|| id.to_owned())
}
