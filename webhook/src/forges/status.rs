//! Commit statuses: each forge's folder says how it takes one, and here it is sent.

use super::client::{Call, CallError, ForgeClient};
use super::{bitbucket, gitea, github, gitlab};
use crate::configuration::forges::ForgeKind;

/// The state of a commit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusState {
    /// The build is queued.
    Pending,
    /// The build runs.
    Running,
    /// The commit is built, or need not be.
    Success,
    /// The commit is to blame.
    Failure,
    /// The service is to blame.
    Error,
    /// The build was cancelled.
    Cancelled,
}

/// A status of a commit.
#[derive(Debug, Clone)]
pub(crate) struct Status<'s> {
    /// The forge's name of the repository: `owner/name`.
    pub repository: &'s str,
    /// Full hash of the commit.
    pub commit: &'s str,
    /// Full name of the ref, if one is known.
    pub git_ref: Option<&'s str>,
    /// The state.
    pub state: StatusState,
    /// The page that the status links to.
    pub target_url: String,
    /// One line of text, no longer than [`max_description`].
    pub description: String,
    /// Tells the statuses of one commit apart.
    pub context: String,
}

/// Returns the most characters of a description that a kind of forge takes.
pub(crate) fn max_description(kind: ForgeKind) -> usize {
    match kind {
        ForgeKind::Github => 140,
        _ => 255,
    }
}

/// Sets the status of a commit.
pub(crate) async fn publish(client: &ForgeClient<'_>, status: &Status<'_>) -> Result<(), CallError> {
    let kind = client.forge.kind;
    let call = call(kind, status).map_err(CallError::Refused)?;
    match client.call(call.clone()).await {
        Err(CallError::Refused(problem)) if kind == ForgeKind::Gitlab => {
            if gitlab::is_already_told(status, &problem) {
                return Ok(());
            }
            match gitlab::with_merge_ref(status, &call, &problem) {
                Some(again) => client.call(again).await.map(drop),
                None => Err(CallError::Refused(problem)),
            }
        }
        answer => answer.map(drop),
    }
}

/// Returns the request that sets a status.
fn call(kind: ForgeKind, status: &Status<'_>) -> Result<Call, String> {
    match kind {
        ForgeKind::Github => github::status(status),
        ForgeKind::Gitlab => Ok(gitlab::status(status)),
        ForgeKind::Gitea | ForgeKind::Forgejo => gitea::status(status),
        ForgeKind::Gogs => Err("Gogs has no API for commit statuses: nothing was sent".to_owned()),
        ForgeKind::Bitbucket => bitbucket::cloud_status(status),
        ForgeKind::BitbucketDatacenter => bitbucket::data_center_status(status),
    }
}

/// Returns the path of a repository, `owner/name`, with its parts encoded.
pub(super) fn repository_path(repository: &str) -> Result<(String, String), String> {
    match repository.split_once('/') {
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((encoded(owner), encoded(name)))
        }
        _ => Err(format!("`{repository}` is not `owner/name`: set `forge_name`")),
    }
}

/// Returns a text as one part of a path.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => encoded.push(char::from(byte)),
            // A part of dots alone would be a step upwards.
            b'.' if text.bytes().any(|byte| byte != b'.') => encoded.push('.'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
