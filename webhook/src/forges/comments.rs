//! Comments on pull requests: each forge's folder says how it takes one, and here one is posted and kept up to date.

use super::client::{Call, CallError, ForgeClient};
use super::{bitbucket, gitea, github, gitlab};
use crate::configuration::forges::ForgeKind;
use serde_json::Value;

/// A comment on a pull request.
#[derive(Debug, Clone)]
pub(crate) struct Comment<'c> {
    /// The forge's name of the repository: `owner/name`.
    pub repository: &'c str,
    /// Number of the pull request.
    pub number: i64,
    /// The text, in Markdown.
    pub text: String,
    /// Stands in the text of this comment and of no other.
    pub nonce: &'c str,
}

/// The comments of a forge: their paths, and how one is written.
pub(super) struct CommentApi {
    /// Path that a comment is posted to.
    pub path: String,
    /// Path and query with which the newest comments are listed.
    pub list: String,
    /// Where the list stands in the answer.
    pub listed: &'static str,
    /// Where a comment stands in an entry of the list.
    pub entry: &'static str,
    /// Where its text stands in a comment.
    pub text: &'static str,
    /// Path of a comment, before its id.
    pub one: String,
    /// The method that changes one.
    pub change: &'static str,
    /// The document that posts or changes one.
    pub document: Value,
    /// Whether a change names the version that it is of.
    pub has_versions: bool,
}

/// Returns the forge's id of a comment that was posted before an answer was lost, if there is one.
pub(crate) async fn find(client: &ForgeClient<'_>, comment: &Comment<'_>) -> Result<Option<String>, CallError> {
    let api = api(client, comment)?;
    let unreadable = || CallError::Again("the forge's list of comments cannot be read".to_owned());
    let answer: Value = serde_json::from_slice(&client.call(Call::get(api.list)).await?).map_err(|_| unreadable())?;
    let all = answer.pointer(api.listed).and_then(Value::as_array).ok_or_else(unreadable)?;
    let mut comments = all.iter().filter_map(|entry| entry.pointer(api.entry));
    let is_it = |known: &&Value| {
        known.pointer(api.text).and_then(Value::as_str).is_some_and(|text| text.contains(comment.nonce))
    };
    Ok(comments.find(is_it).and_then(id))
}

/// Posts a comment; returns the forge's id of it.
pub(crate) async fn post(client: &ForgeClient<'_>, comment: &Comment<'_>) -> Result<String, CallError> {
    let api = api(client, comment)?;
    let body = client.call(Call::send("POST", api.path, api.document)).await?;
    let unreadable = || CallError::Again("the forge's answer to a comment cannot be read".to_owned());
    let posted: Value = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    id(&posted).ok_or_else(unreadable)
}

/// Changes a comment; tells whether it was there.
pub(crate) async fn change(client: &ForgeClient<'_>, comment: &Comment<'_>, id: &str) -> Result<bool, CallError> {
    let mut api = api(client, comment)?;
    let path = format!("{}/{id}", api.one);
    let gone = |error: CallError| match error {
        CallError::Refused(problem) if problem.starts_with("HTTP 404") || problem.starts_with("HTTP 410") => Ok(false),
        error => Err(error),
    };
    if api.has_versions {
        let body = match client.call(Call::get(path.clone())).await {
            Ok(body) => body,
            Err(error) => return gone(error),
        };
        let known: Value = serde_json::from_slice(&body).unwrap_or_default();
        api.document["version"] = known["version"].clone();
    }
    match client.call(Call::send(api.change, path, api.document)).await {
        Ok(_) => Ok(true),
        Err(error) => gone(error),
    }
}

fn api(client: &ForgeClient<'_>, comment: &Comment<'_>) -> Result<CommentApi, CallError> {
    let api = match client.forge.kind {
        ForgeKind::Github => github::comments(comment),
        ForgeKind::Gitlab => Ok(gitlab::comments(comment)),
        kind @ (ForgeKind::Gitea | ForgeKind::Forgejo | ForgeKind::Gogs) => gitea::comments(kind, comment),
        ForgeKind::Bitbucket => bitbucket::cloud_comments(comment),
        ForgeKind::BitbucketDatacenter => bitbucket::data_center_comments(comment),
    };
    api.map_err(CallError::Refused)
}

/// Returns the id of a comment, which is a number everywhere.
fn id(comment: &Value) -> Option<String> {
    comment["id"].as_u64().map(|id| id.to_string())
}
