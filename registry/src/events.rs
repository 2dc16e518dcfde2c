//! Events: pushes, pulls, mounts and deletions, written down for the endpoints that want to be told, in the format of the
//! distribution's notifications. The moment is added when an event is sent.

use crate::Settings;
use crate::server::Registry;
use axum::http::HeaderMap;
use axum::http::header::{HOST, USER_AGENT};
use database::{NewChange, NewRegistryNotification};
use registry_client::path_matches;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Something that happens in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A manifest was put.
    Push,
    /// A manifest was read.
    Pull,
    /// A blob of another repository was mounted.
    Mount,
    /// A tag, manifest or blob was deleted.
    Delete,
}

impl EventKind {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Push => "push",
            EventKind::Pull => "pull",
            EventKind::Mount => "mount",
            EventKind::Delete => "delete",
        }
    }
}

/// An endpoint, as far as what it is told of.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// The events that it is told of.
    pub kinds: Vec<EventKind>,
    /// Paths of repositories, with `*` and `**`; all, if there are none.
    pub repositories: Vec<String>,
}

/// The target of an event.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
    pub media_type: Option<String>,
    pub size: Option<u64>,
    /// The repository that a blob was mounted from.
    pub from: Option<String>,
}

impl Target {
    /// Returns a target that a tag or digest names.
    pub(crate) fn named(repository: &str, reference: &str) -> Target {
        let is_digest = reference.contains(':');
        let text = Some(reference.to_owned());
        let (tag, digest) = if is_digest { (None, text) } else { (text, None) };
        Target { repository: repository.to_owned(), tag, digest, ..Target::default() }
    }

    fn shown(&self, url: &str) -> Value {
        let mut shown = Map::new();
        let mut put = |key: &str, value: Option<Value>| drop(value.map(|value| shown.insert(key.to_owned(), value)));
        put("mediaType", self.media_type.clone().map(Value::from));
        put("size", self.size.map(Value::from));
        put("length", self.size.map(Value::from));
        put("digest", self.digest.clone().map(Value::from));
        put("repository", Some(self.repository.clone().into()));
        put("fromRepository", self.from.clone().map(Value::from));
        let of_manifest = |digest: &String| format!("{url}/v2/{}/manifests/{digest}", self.repository);
        put("url", self.digest.as_ref().filter(|_| !url.is_empty()).map(of_manifest).map(Value::from));
        put("tag", self.tag.clone().map(Value::from));
        Value::Object(shown)
    }
}

/// The request that an event comes from.
#[derive(Debug, Default)]
pub(crate) struct Source {
    method: String,
    host: String,
    user_agent: String,
    url: String,
}

impl Source {
    /// Returns the source that a request is; `url` is the registry's.
    pub(crate) fn of(method: &str, headers: &HeaderMap, url: &str) -> Source {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Source { method: method.to_owned(), host: text(HOST), user_agent: text(USER_AGENT), url: url.to_owned() }
    }
}

impl Settings {
    /// Returns the notifications of an event, one for each endpoint that wants to be told of it.
    pub(crate) fn notifications(
        &self,
        kind: EventKind,
        target: &Target,
        source: &Source,
        change: &NewChange,
    ) -> Vec<NewRegistryNotification> {
        let wants = |endpoint: &&Endpoint| {
            let patterns = &endpoint.repositories;
            let is_named = patterns.is_empty() || patterns.iter().any(|path| path_matches(path, &target.repository));
            endpoint.kinds.contains(&kind) && is_named
        };
        let mut endpoints = self.endpoints.iter().filter(wants).peekable();
        if endpoints.peek().is_none() {
            return Vec::new();
        }
        let Source { method, host, user_agent, url } = source;
        let event = json!({
            "id": Uuid::now_v7(),
            "action": kind.as_str(),
            "target": target.shown(url),
            "request": {
                "id": Uuid::now_v7(), "addr": change.address, "host": host, "method": method, "useragent": user_agent,
            },
            "actor": { "name": change.account },
            "source": { "addr": host },
        });
        let event = event.to_string();
        endpoints
            .map(|endpoint| NewRegistryNotification { endpoint: endpoint.name.clone(), event: event.clone() })
            .collect()
    }

    /// Tells of something that changed nothing that is recorded; whoever asked does not wait for it.
    pub(crate) fn tell(&self, notifications: Vec<NewRegistryNotification>) {
        let Some(database) = self.audit.clone().filter(|_| !notifications.is_empty()) else { return };
        tokio::spawn(async move {
            if let Err(error) = database.tell_endpoints(&notifications).await {
                tracing::error!(error = &error as &dyn std::error::Error, "endpoints are not told of an event");
            }
        });
    }
}

impl Registry {
    /// Tells endpoints of something that changes nothing that is recorded.
    pub(crate) fn tell(&self, kind: EventKind, target: &Target) {
        if !self.settings.endpoints.is_empty() {
            self.settings.tell(self.settings.notifications(kind, target, &self.source, &self.change()));
        }
    }
}
