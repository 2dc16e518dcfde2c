//! Deliveries of Bitbucket: several changes in one delivery; the cloud's form and the server's.

use crate::forges::forge::{Event, Headers, Identity, Message, Push, object, text};
use crate::forges::signature::Proof;
use axum::http::HeaderMap;
use serde::Deserialize;

/// Reads the headers. Bitbucket repeats failed deliveries under the same id.
pub fn headers(headers: &HeaderMap) -> Result<Headers<'_>, &'static str> {
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
pub fn read(event: &str, json: &[u8]) -> Result<Message, serde_json::Error> {
    match event {
        "repo:push" => cloud(serde_json::from_slice(json)?),
        "repo:refs_changed" => server(serde_json::from_slice(json)?),
        "diagnostics:ping" => Ok(Message { repository: None, event: Event::Ping }),
        _ => {
            let any: AnyEvent = serde_json::from_slice(json)?;
            Ok(Message { repository: any.repository.map(RepositoryName::full_name), event: Event::Other })
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
        let key = self.project.and_then(|project| project.key).unwrap_or_default();
        self.full_name.unwrap_or_else(|| format!("{key}/{}", self.slug.unwrap_or_default()))
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
    Ok(Message { repository: Some(text.repository.full_name()), event: Event::Pushes(pushes) })
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
    Ok(Message { repository: Some(text.repository.full_name()), event: Event::Pushes(pushes) })
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
}
