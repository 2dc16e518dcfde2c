//! Deliveries of GitLab: the key itself in a header, `checkout_sha` for the commit.

use crate::forges::forge::{Event, Headers, Identity, Message, Pull, Push, object, text};
use crate::forges::signature::Proof;
use axum::http::HeaderMap;
use database::PullRequest;
use serde::Deserialize;

/// Reads the headers. The id that stays the same over retries is the idempotency key. Older versions send an event's id,
/// which all that follows from an event shares: what a hook did to another ref, and system hooks. The oldest send none.
pub(crate) fn headers(headers: &HeaderMap) -> Result<Headers<'_>, &'static str> {
    let own = ["idempotency-key", "webhook-id"].into_iter().find_map(|name| text(headers, name));
    let shared = text(headers, "x-gitlab-event-uuid");
    let (id, identity) = match (own, shared) {
        (Some(id), _) => (id, Identity::Own),
        (None, Some(id)) => (id, Identity::Shared),
        (None, None) => ("", Identity::None),
    };
    Ok(Headers {
        event: text(headers, "x-gitlab-event").ok_or("X-Gitlab-Event")?,
        id,
        identity,
        proof: text(headers, "x-gitlab-token").map_or(Proof::None, Proof::Key),
    })
}

/// Reads a payload: its kind is in it, because system hooks call every event `System Hook`.
pub(crate) fn read(_event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    let any: AnyEvent = serde_json::from_slice(json)?;
    let kind = any.object_kind.or(any.event_name).unwrap_or_default();
    let event = match kind.as_str() {
        "push" | "tag_push" => Event::Pushes(vec![serde_json::from_slice::<PushText>(json)?.push()]),
        "merge_request" => serde_json::from_slice::<MergeText>(json)?.event(),
        _ => Event::Other,
    };
    Ok(Message { repository: any.project.map(|project| project.path_with_namespace), event, ..Message::default() })
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
    /// Null instead of none in some versions.
    commits: Option<Vec<Commit>>,
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
        let newest =
            self.commits.into_iter().flatten().rev().find(|known| commit.as_ref().is_none_or(|id| *id == known.id));
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

/// A merge request.
#[derive(Debug, Deserialize)]
struct MergeText {
    user: Option<User>,
    project: Option<Project>,
    object_attributes: Merge,
}

#[derive(Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Deserialize)]
struct Merge {
    iid: u32,
    action: Option<String>,
    /// The newest commit before; given when commits came, and not when somebody changed a label.
    oldrev: Option<String>,
    source_project_id: Option<u64>,
    target_project_id: u64,
    target_branch: String,
    #[serde(default)]
    title: String,
    last_commit: Option<Commit>,
}

impl MergeText {
    fn event(self) -> Event {
        let merge = self.object_attributes;
        let is_open = match merge.action.as_deref() {
            Some("open" | "reopen") => true,
            Some("update") if merge.oldrev.is_some() => true,
            Some("close" | "merge") => false,
            _ => return Event::Other,
        };
        let Some(commit) = merge.last_commit.and_then(|commit| object(&commit.id)) else { return Event::Other };
        let git_ref = format!("refs/merge-requests/{}/head", merge.iid);
        // A fork that was removed meanwhile is null.
        let is_fork = merge.source_project_id != Some(merge.target_project_id);
        Event::Pull(Box::new(Pull {
            pull: PullRequest {
                number: merge.iid.into(),
                target: merge.target_branch,
                git_ref,
                commit,
                source: None,
                is_fork,
            },
            is_open,
            may_be_unchanged: false,
            before: merge.oldrev.as_deref().and_then(object),
            target_commit: None,
            title: merge.title,
            by: self.user.map(|user| user.username).unwrap_or_default(),
            default_branch: self.project.and_then(|project| project.default_branch),
        }))
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
            Message { repository: Some(name), event: Event::Pushes(mut pushes), .. } => (name, pushes.remove(0)),
            other => panic!("{other:?}"),
        };
        let (name, push) = read(text("tag_push", &one, &format!("\"{two}\"")));
        assert_eq!(
            (name.as_str(), push.commit.as_deref(), push.message.as_str()),
            ("g/s/p", Some(two.as_str()), "newest")
        );
        assert_eq!(read(text("push", &zero, "null")).1.commit, None);
    }

    #[test]
    fn merge_requests_with_new_commits_are_read() {
        // WH-31
        let one = "1".repeat(40);
        let merge = |attributes: &str| {
            let text = format!(
                r#"{{"object_kind":"merge_request","user":{{"username":"me"}},"project":{{"path_with_namespace":"g/p"}},
                "object_attributes":{{"iid":4,"target_branch":"main","target_project_id":1,"last_commit":{{"id":"{one}"}},{attributes}}}}}"#
            );
            read("Merge Request Hook", text.as_bytes()).unwrap().event
        };
        for (attributes, is_fork, is_open) in [
            (r#""action":"open","source_project_id":1"#.to_owned(), false, true),
            (format!(r#""action":"update","oldrev":"{}","source_project_id":2"#, "2".repeat(40)), true, true),
            (r#""action":"merge","source_project_id":null"#.to_owned(), true, false),
        ] {
            let Event::Pull(pull) = merge(&attributes) else { panic!("{attributes}") };
            assert_eq!((pull.pull.is_fork, pull.is_open), (is_fork, is_open), "{attributes}");
            assert_eq!((pull.pull.git_ref.as_str(), &pull.pull.commit), ("refs/merge-requests/4/head", &one));
        }
        assert_eq!(merge(r#""action":"update","source_project_id":1"#), Event::Other, "a label was changed");
        assert_eq!(merge(r#""action":"approved","source_project_id":1"#), Event::Other);
    }
}
