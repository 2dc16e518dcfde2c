//! Deliveries of GitHub.

use super::check_requests::{self, EVENTS as CHECK_EVENTS};
use crate::forges::forge::{Event, Headers, Identity, Message, Push, object, text};
use crate::forges::pull_request;
use crate::forges::signature::Proof;
use axum::http::HeaderMap;
use serde::Deserialize;

/// Reads the headers. The older `X-Hub-Signature` (SHA-1) proves nothing.
pub(crate) fn headers(headers: &HeaderMap) -> Result<Headers<'_>, &'static str> {
    let signature = text(headers, "x-hub-signature-256").and_then(|value| value.strip_prefix("sha256="));
    Ok(Headers {
        event: text(headers, "x-github-event").ok_or("X-GitHub-Event")?,
        id: text(headers, "x-github-delivery").ok_or("X-GitHub-Delivery")?,
        identity: Identity::Own,
        proof: signature.map_or(Proof::None, Proof::Signature),
    })
}

/// Reads a payload.
pub(crate) fn read(event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    let message = read_change(event, json)?;
    if CHECK_EVENTS.contains(&event) {
        return Ok(Message { event: check_requests::read(json)?, ..message });
    }
    Ok(if event == "ping" { Message { event: Event::Ping, ..message } } else { message })
}

/// Reads a push or a pull request, which Gitea writes alike.
pub(crate) fn read_change(event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    let any: AnyEvent = serde_json::from_slice(json)?;
    let event = match event {
        "push" => Event::Pushes(vec![serde_json::from_slice::<PushText>(json)?.push()]),
        "pull_request" => pull_request::read(json)?,
        _ => Event::Other,
    };
    Ok(Message { repository: any.repository.map(|repository| repository.full_name), event, ..Message::default() })
}

/// The fields of every payload.
#[derive(Debug, Deserialize)]
struct AnyEvent {
    repository: Option<RepositoryName>,
}

#[derive(Debug, Default, Deserialize)]
struct RepositoryName {
    full_name: String,
    default_branch: Option<String>,
}

/// A push, as GitHub and Gitea write it.
#[derive(Debug, Deserialize)]
struct PushText {
    #[serde(rename = "ref")]
    git_ref: String,
    before: Option<String>,
    after: String,
    #[serde(default)]
    deleted: bool,
    /// The newest commit: of an annotated tag the one that the tag points to.
    head_commit: Option<Commit>,
    pusher: Option<Pusher>,
    repository: Option<RepositoryName>,
}

#[derive(Debug, Deserialize)]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
struct Pusher {
    name: Option<String>,
    /// Gitea's word.
    login: Option<String>,
}

impl PushText {
    fn push(self) -> Push {
        let after = object(&self.after).filter(|_| !self.deleted);
        let (id, message) = self.head_commit.map(|commit| (commit.id, commit.message)).unzip();
        let commit = if after.is_some() { id.as_deref().and_then(object).or_else(|| after.clone()) } else { None };
        Push {
            git_ref: self.git_ref,
            before: self.before.as_deref().and_then(object),
            after,
            commit,
            message: message.unwrap_or_default(),
            by: self.pusher.and_then(|pusher| pusher.name.or(pusher.login)).unwrap_or_default(),
            default_branch: self.repository.and_then(|repository| repository.default_branch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_read_as_github_writes_them() {
        // WH-24, WH-25
        let (zero, one, two) = ("0".repeat(40), "1".repeat(40), "2".repeat(40));
        let push = |before: &str, after: &str, head: &str| {
            let text = format!(
                r#"{{"ref":"refs/tags/v1","before":"{before}","after":"{after}","head_commit":{head},
                "repository":{{"full_name":"a/b","default_branch":"main"}},"pusher":{{"name":"me"}}}}"#
            );
            match read("push", text.as_bytes()).unwrap().event {
                Event::Pushes(mut pushes) => pushes.remove(0),
                other => panic!("{other:?}"),
            }
        };
        let head = format!(r#"{{"id":"{two}","message":"m"}}"#);
        let annotated = push(&zero, &one, &head);
        assert_eq!((annotated.commit, annotated.after, annotated.before), (Some(two.clone()), Some(one.clone()), None));
        let plain = push(&two, &one, "null");
        assert_eq!((plain.commit, plain.before), (Some(one), Some(two.clone())));
        let deleted = push(&two, &zero, "null");
        assert_eq!((deleted.commit, deleted.after), (None, None));
        assert_eq!(push(&two, "main", "null").after, None, "a name is not a commit");
        assert!(read("push", b"{}").is_err() && read("ping", b"{}").unwrap().event == Event::Ping);
    }
}
