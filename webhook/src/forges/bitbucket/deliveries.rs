//! Deliveries of Bitbucket: several changes in one delivery; the cloud's form and the server's.

use crate::forges::forge::{Event, Headers, Identity, Message, Pull, Push, object, text};
use crate::forges::signature::Proof;
use axum::http::HeaderMap;
use database::PullRequest;
use serde::Deserialize;
use serde::de::Error;

/// Reads the headers. Bitbucket repeats failed deliveries under the same id.
pub(crate) fn headers(headers: &HeaderMap) -> Result<Headers<'_>, &'static str> {
    let signature = text(headers, "x-hub-signature").and_then(|value| value.strip_prefix("sha256="));
    let id = text(headers, "x-request-uuid").or_else(|| text(headers, "x-request-id"));
    Ok(Headers {
        event: text(headers, "x-event-key").ok_or("X-Event-Key")?,
        id: id.ok_or("X-Request-UUID")?,
        identity: Identity::Own,
        proof: signature.map_or(Proof::None, Proof::Signature),
    })
}

/// Reads a payload.
pub(crate) fn read(event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    match event {
        "repo:push" => cloud(serde_json::from_slice(json)?),
        "repo:refs_changed" => server(serde_json::from_slice(json)?),
        event if event.starts_with("pullrequest:") => cloud_pull(event, json),
        event if event.starts_with("pr:") => server_pull(event, json),
        "diagnostics:ping" => Ok(Message { repository: None, event: Event::Ping, ..Message::default() }),
        _ => {
            let any: AnyEvent = serde_json::from_slice(json)?;
            Ok(Message {
                repository: any.repository.map(RepositoryName::full_name),
                event: Event::Other,
                ..Message::default()
            })
        }
    }
}

#[derive(Debug, Deserialize)]
struct AnyEvent {
    repository: Option<RepositoryName>,
}

/// The cloud has `full_name`, the server a project's key and a slug.
#[derive(Debug, Deserialize)]
struct RepositoryName {
    full_name: Option<String>,
    slug: Option<String>,
    project: Option<Project>,
}

#[derive(Debug, Deserialize)]
struct Project {
    key: Option<String>,
}

impl RepositoryName {
    fn full_name(self) -> String {
        // Neither has a slash: with one it would be another repository's name.
        let part = |text: Option<String>| text.filter(|text| !text.contains('/')).unwrap_or_default();
        let key = part(self.project.and_then(|project| project.key));
        self.full_name.unwrap_or_else(|| format!("{key}/{}", part(self.slug)))
    }
}

#[derive(Debug, Deserialize)]
struct CloudText {
    push: CloudPush,
    repository: RepositoryName,
    actor: Option<Actor>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    name: Option<String>,
    nickname: Option<String>,
    display_name: Option<String>,
}

impl Actor {
    fn shown(self) -> Option<String> {
        self.name.or(self.nickname).or(self.display_name)
    }
}

#[derive(Debug, Deserialize)]
struct CloudPush {
    changes: Vec<CloudChange>,
}

#[derive(Debug, Deserialize)]
struct CloudChange {
    old: Option<CloudRef>,
    new: Option<CloudRef>,
}

#[derive(Debug, Deserialize)]
struct CloudRef {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Target,
}

#[derive(Debug, Deserialize)]
struct Target {
    hash: String,
    #[serde(default)]
    message: String,
}

impl CloudRef {
    fn git_ref(&self) -> String {
        let prefix = if self.kind == "tag" { "refs/tags/" } else { "refs/heads/" };
        format!("{prefix}{}", self.name)
    }
}

fn cloud(text: CloudText) -> Result<Message, serde_json::Error> {
    let by = text.actor.and_then(Actor::shown).unwrap_or_default();
    let pushes = text.push.changes.into_iter().filter_map(|change| {
        let git_ref = change.new.as_ref().or(change.old.as_ref())?.git_ref();
        let before = change.old.as_ref().and_then(|old| object(&old.target.hash));
        let after = change.new.as_ref().and_then(|new| object(&new.target.hash));
        let message = change.new.map(|new| new.target.message).unwrap_or_default();
        Some(Push { git_ref, before, commit: after.clone(), after, message, by: by.clone(), default_branch: None })
    });
    let pushes = pushes.collect();
    Ok(Message { repository: Some(text.repository.full_name()), event: Event::Pushes(pushes), ..Message::default() })
}

#[derive(Debug, Deserialize)]
struct ServerText {
    changes: Vec<ServerChange>,
    repository: RepositoryName,
    actor: Option<Actor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerChange {
    #[serde(rename = "ref")]
    reference: ServerRef,
    from_hash: String,
    to_hash: String,
}

#[derive(Debug, Deserialize)]
struct ServerRef {
    id: String,
}

fn server(text: ServerText) -> Result<Message, serde_json::Error> {
    let by = text.actor.and_then(Actor::shown).unwrap_or_default();
    let pushes = text.changes.into_iter().map(|change| {
        let after = object(&change.to_hash);
        let (git_ref, before) = (change.reference.id, object(&change.from_hash));
        Push { git_ref, before, commit: after.clone(), after, by: by.clone(), ..Push::default() }
    });
    let pushes = pushes.collect();
    Ok(Message { repository: Some(text.repository.full_name()), event: Event::Pushes(pushes), ..Message::default() })
}

#[derive(Debug, Deserialize)]
struct CloudPullText {
    pullrequest: CloudPull,
    repository: RepositoryName,
    actor: Option<Actor>,
}

#[derive(Debug, Deserialize)]
struct CloudPull {
    id: u32,
    #[serde(default)]
    title: String,
    source: CloudSide,
    destination: CloudSide,
}

/// One of the two branches; the repository of a fork that was removed meanwhile is null.
#[derive(Debug, Deserialize)]
struct CloudSide {
    branch: CloudBranch,
    commit: Option<Target>,
    repository: Option<RepositoryName>,
}

#[derive(Debug, Deserialize)]
struct CloudBranch {
    name: String,
}

/// Reads a pull request of the cloud. It says the beginning of a commit's hash alone and has no ref for it, but the branch
/// that it comes from is in the repository unless a fork has it.
fn cloud_pull(event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    let is_open = match event {
        "pullrequest:created" | "pullrequest:updated" => true,
        "pullrequest:fulfilled" | "pullrequest:rejected" => false,
        _ => {
            let any: AnyEvent = serde_json::from_slice(json)?;
            let repository = any.repository.map(RepositoryName::full_name);
            return Ok(Message { repository, event: Event::Other, ..Message::default() });
        }
    };
    let text: CloudPullText = serde_json::from_slice(json)?;
    let repository = text.repository.full_name();
    let pull = text.pullrequest;
    let of_source = pull.source.repository.map(RepositoryName::full_name);
    let is_fork = !of_source.is_some_and(|name| name.eq_ignore_ascii_case(&repository));
    let commit = pull.source.commit.map(|commit| commit.hash).unwrap_or_default();
    if !is_beginning(&commit) {
        return Err(serde_json::Error::custom("`pullrequest.source.commit.hash` is not the hash of a commit"));
    }
    let source = (!is_fork).then(|| format!("refs/heads/{}", pull.source.branch.name));
    let event = Event::Pull(Box::new(Pull {
        pull: PullRequest {
            number: pull.id.into(),
            target: pull.destination.branch.name,
            git_ref: format!("refs/pull-requests/{}/from", pull.id),
            commit,
            source,
            is_fork,
        },
        is_open,
        may_be_unchanged: event == "pullrequest:updated",
        before: None,
        target_commit: pull.destination.commit.and_then(|commit| object(&commit.hash)),
        title: pull.title,
        by: text.actor.and_then(Actor::shown).unwrap_or_default(),
        default_branch: None,
    }));
    Ok(Message { repository: Some(repository), event, ..Message::default() })
}

/// Tells whether a text is the hash of a commit, or seven digits of it or more.
fn is_beginning(hash: &str) -> bool {
    (7..=64).contains(&hash.len()) && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerPullText {
    pull_request: ServerPull,
    actor: Option<Actor>,
    /// The newest commit before; given when commits came.
    previous_from_hash: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerPull {
    id: u32,
    #[serde(default)]
    title: String,
    from_ref: ServerSide,
    to_ref: ServerSide,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerSide {
    display_id: String,
    latest_commit: String,
    repository: RepositoryName,
}

/// Reads a pull request of Data Center, which has its commits in a ref of the repository.
fn server_pull(event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    let text: ServerPullText = serde_json::from_slice(json)?;
    let pull = text.pull_request;
    let (repository, of_source) = (pull.to_ref.repository.full_name(), pull.from_ref.repository.full_name());
    let is_open = match event {
        "pr:opened" | "pr:reopened" | "pr:from_ref_updated" => true,
        "pr:merged" | "pr:declined" | "pr:deleted" => false,
        _ => return Ok(Message { repository: Some(repository), event: Event::Other, ..Message::default() }),
    };
    let commit = object(&pull.from_ref.latest_commit).ok_or_else(|| {
        serde_json::Error::custom("`pullRequest.fromRef.latestCommit` is not the full hash of a commit")
    })?;
    let event = Event::Pull(Box::new(Pull {
        pull: PullRequest {
            number: pull.id.into(),
            target: pull.to_ref.display_id,
            git_ref: format!("refs/pull-requests/{}/from", pull.id),
            commit,
            source: None,
            is_fork: repository != of_source,
        },
        is_open,
        may_be_unchanged: false,
        before: text.previous_from_hash.as_deref().and_then(object),
        target_commit: object(&pull.to_ref.latest_commit),
        title: pull.title,
        by: text.actor.and_then(Actor::shown).unwrap_or_default(),
        default_branch: None,
    }));
    Ok(Message { repository: Some(repository), event, ..Message::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_changes_of_a_push_count() {
        let (zero, one, two) = ("0".repeat(40), "1".repeat(40), "2".repeat(40));
        let text = format!(
            r#"{{"push":{{"changes":[
                {{"old":null,"new":{{"type":"branch","name":"a","target":{{"hash":"{one}","message":"m"}}}}}},
                {{"old":{{"type":"tag","name":"t","target":{{"hash":"{two}"}}}},"new":null}}]}},
                "repository":{{"full_name":"w/r"}},"actor":{{"nickname":"me","display_name":"Me"}}}}"#
        );
        let message = read("repo:push", text.as_bytes()).unwrap();
        let Event::Pushes(pushes) = message.event else { panic!() };
        assert_eq!((pushes[0].git_ref.as_str(), pushes[0].commit.as_deref()), ("refs/heads/a", Some(one.as_str())));
        assert_eq!((pushes[1].git_ref.as_str(), pushes[1].commit.as_deref()), ("refs/tags/t", None));
        let text = format!(
            r#"{{"changes":[{{"ref":{{"id":"refs/heads/b"}},"fromHash":"{zero}","toHash":"{one}","type":"ADD"}}],
                "repository":{{"slug":"r","project":{{"key":"P"}}}},"actor":{{"name":"me"}}}}"#
        );
        let message = read("repo:refs_changed", text.as_bytes()).unwrap();
        assert_eq!(message.repository.as_deref(), Some("P/r"));
        let Event::Pushes(pushes) = message.event else { panic!() };
        assert_eq!((pushes[0].before.clone(), pushes[0].by.as_str()), (None, "me"));
        assert!(read("repo:push", b"{}").is_err());
    }

    fn pull(event: &str, text: &str) -> (String, Pull) {
        match read(event, text.as_bytes()).unwrap() {
            Message { repository: Some(name), event: Event::Pull(pull), .. } => (name, *pull),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pull_requests_of_the_cloud_name_a_branch_or_are_of_a_fork() {
        // WH-31
        let text = |source: &str| {
            format!(
                r#"{{"pullrequest":{{"id":3,"title":"T","source":{{"branch":{{"name":"topic"}},"commit":{{"hash":"d3022fc0ca3d"}},
                "repository":{source}}},"destination":{{"branch":{{"name":"main"}},"commit":{{"hash":"ce5965ddd289"}},
                "repository":{{"full_name":"w/r"}}}}}},"repository":{{"full_name":"w/r"}},"actor":{{"nickname":"me"}}}}"#
            )
        };
        let (name, own) = pull("pullrequest:created", &text(r#"{"full_name":"W/r"}"#));
        assert_eq!((name.as_str(), own.pull.source.as_deref()), ("w/r", Some("refs/heads/topic")));
        assert_eq!((own.pull.git_ref.as_str(), own.pull.full_commit()), ("refs/pull-requests/3/from", None));
        assert!(own.is_open && !own.pull.is_fork && !own.may_be_unchanged && own.target_commit.is_none());
        for source in [r#"{"full_name":"stranger/r"}"#, "null"] {
            let (_, fork) = pull("pullrequest:updated", &text(source));
            assert!(fork.pull.is_fork && fork.pull.source.is_none() && fork.may_be_unchanged, "{source}");
        }
        assert!(!pull("pullrequest:rejected", &text("null")).1.is_open);
        let other = read("pullrequest:approved", text("null").as_bytes()).unwrap();
        assert_eq!((other.repository.as_deref(), other.event), (Some("w/r"), Event::Other));
        let wrong = text("null").replace("d3022fc0ca3d", "--output=x");
        assert!(read("pullrequest:created", wrong.as_bytes()).is_err());
    }

    #[test]
    fn pull_requests_of_data_center_have_a_ref() {
        // WH-31
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let text = |key: &str| {
            format!(
                r#"{{"pullRequest":{{"id":9,"title":"T","fromRef":{{"id":"refs/heads/t","displayId":"t","latestCommit":"{one}",
                "repository":{{"slug":"r","project":{{"key":"{key}"}}}}}},"toRef":{{"id":"refs/heads/main","displayId":"main",
                "latestCommit":"{two}","repository":{{"slug":"r","project":{{"key":"P"}}}}}}}},"actor":{{"name":"me"}},
                "previousFromHash":"{two}"}}"#
            )
        };
        let (name, own) = pull("pr:from_ref_updated", &text("P"));
        assert_eq!(
            (name.as_str(), own.pull.commit.as_str(), own.before.clone()),
            ("P/r", one.as_str(), Some(two.clone()))
        );
        assert_eq!((own.pull.git_ref.as_str(), own.pull.target.as_str()), ("refs/pull-requests/9/from", "main"));
        assert!(own.is_open && !own.pull.is_fork && pull("pr:opened", &text("~ME")).1.pull.is_fork);
        assert!(!pull("pr:merged", &text("P")).1.is_open);
        assert_eq!(read("pr:comment:added", text("P").as_bytes()).unwrap().event, Event::Other);
    }
}
