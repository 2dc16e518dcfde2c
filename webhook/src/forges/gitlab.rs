//! GitLab: the key itself in a header, `checkout_sha` for the commit.

use super::{Event, Headers, Message, Proof, Push, object, text};
use axum::http::HeaderMap;
use serde::Deserialize;

/// Reads the headers. The id that stays the same over retries is the idempotency key; older versions send an event's id.
pub fn headers(headers: &HeaderMap) -> Result<Headers<'_>, &'static str> {
    let ids = ["idempotency-key", "webhook-id", "x-gitlab-event-uuid"];
    Ok(Headers {
        event: text(headers, "x-gitlab-event").ok_or("X-Gitlab-Event")?,
        id: ids.into_iter().find_map(|name| text(headers, name)).ok_or("X-Gitlab-Event-UUID")?,
        proof: text(headers, "x-gitlab-token").map_or(Proof::None, Proof::Key),
    })
}

/// Reads a payload: its kind is in it, because system hooks call every event `System Hook`.
pub fn read(_event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    let any: AnyEvent = serde_json::from_slice(json)?;
    let kind = any.object_kind.or(any.event_name).unwrap_or_default();
    let event = match kind.as_str() {
        "push" | "tag_push" => Event::Pushes(vec![serde_json::from_slice::<PushText>(json)?.push()]),
        _ => Event::Other,
    };
    Ok(Message { repository: any.project.map(|project| project.path_with_namespace), event })
}

#[derive(Debug, Deserialize)]
struct AnyEvent {
    object_kind: Option<String>,
    event_name: Option<String>,
    project: Option<Project>,
}

#[derive(Debug, Deserialize)]
struct Project {
    path_with_namespace: String,
    default_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PushText {
    #[serde(rename = "ref")]
    git_ref: String,
    before: Option<String>,
    after: String,
    /// The commit; of an annotated tag `after` is the tag. Null when the ref was deleted.
    checkout_sha: Option<String>,
    user_username: Option<String>,
    project: Option<Project>,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Debug, Deserialize)]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
}

impl PushText {
    fn push(self) -> Push {
        let after = object(&self.after);
        let commit = self.checkout_sha.as_deref().and_then(object).filter(|_| after.is_some());
        let newest = self.commits.into_iter().rev().find(|known| commit.as_ref().is_none_or(|id| *id == known.id));
        Push {
            git_ref: self.git_ref,
            before: self.before.as_deref().and_then(object),
            commit: commit.or_else(|| after.clone()),
            after,
            message: newest.map(|commit| commit.message).unwrap_or_default(),
            by: self.user_username.unwrap_or_default(),
            default_branch: self.project.and_then(|project| project.default_branch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_and_tags_are_read() {
        let (zero, one, two) = ("0".repeat(40), "1".repeat(40), "2".repeat(40));
        let text = |kind: &str, after: &str, checkout: &str| {
            format!(
                r#"{{"object_kind":"{kind}","ref":"refs/heads/main","before":"{zero}","after":"{after}","checkout_sha":{checkout},
                "user_username":"me","project":{{"path_with_namespace":"g/s/p","default_branch":"main"}},
                "commits":[{{"id":"{two}","message":"newest"}}]}}"#
            )
        };
        let read = |text: String| match read("Push Hook", text.as_bytes()).unwrap() {
            Message { repository: Some(name), event: Event::Pushes(mut pushes) } => (name, pushes.remove(0)),
            other => panic!("{other:?}"),
        };
        let (name, push) = read(text("tag_push", &one, &format!("\"{two}\"")));
        assert_eq!(
            (name.as_str(), push.commit.as_deref(), push.message.as_str()),
            ("g/s/p", Some(two.as_str()), "newest")
        );
        assert_eq!(read(text("push", &zero, "null")).1.commit, None);
    }
}
