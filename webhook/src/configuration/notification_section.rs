//! `[[registry.notifications]]` of `slipway.toml`: endpoints that are told of what happens in the embedded registry.

use super::registries::check_path_pattern;
use super::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;

/// `[[registry.notifications]]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationSection {
    /// Name, as logs have it.
    pub name: String,
    /// The URL that is told.
    url: Secret,
    /// The form of what is told.
    #[serde(default)]
    format: NotificationFormat,
    /// Key that requests are signed with.
    secret: Option<Secret>,
    /// The events that it is told of.
    #[serde(default = "usual_events")]
    events: Vec<NotificationEvent>,
    /// Paths of repositories, with `*` and `**`; all, if there are none.
    #[serde(default)]
    repositories: Vec<String>,
}

/// The form of notifications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationFormat {
    /// That of the distribution.
    #[default]
    Distribution,
    /// That of CloudEvents.
    Cloudevents,
}

/// Something that an endpoint is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationEvent {
    /// A manifest was put.
    Push,
    /// A manifest was read.
    Pull,
    /// A blob was mounted from another repository.
    Mount,
    /// A tag, manifest or blob was deleted.
    Delete,
}

fn usual_events() -> Vec<NotificationEvent> {
    vec![NotificationEvent::Push, NotificationEvent::Mount, NotificationEvent::Delete]
}

/// An endpoint, secrets read.
#[derive(Clone)]
pub struct Notification {
    /// Name.
    pub name: String,
    /// The URL that is told; it may hold a secret.
    pub url: String,
    /// The form of what is told.
    pub format: NotificationFormat,
    /// Key that requests are signed with.
    pub key: Option<String>,
    /// The events that it is told of.
    pub events: Vec<NotificationEvent>,
    /// Paths of repositories; all, if there are none.
    pub repositories: Vec<String>,
}

impl std::fmt::Debug for Notification {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Notification({})", self.name)
    }
}

/// Returns the endpoints; secrets are looked for in `directory`.
pub(crate) fn endpoints(sections: &[NotificationSection], directory: &Path) -> Result<Vec<Notification>, String> {
    let mut endpoints: Vec<Notification> = Vec::new();
    for section in sections {
        let name = &section.name;
        if name.is_empty() || endpoints.iter().any(|other| other.name == *name) {
            return Err(format!("notifications `{name}`: every endpoint has a `name` of its own"));
        }
        let endpoint = section.read(directory).map_err(|problem| format!("notifications `{name}`: {problem}"))?;
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

impl NotificationSection {
    fn read(&self, directory: &Path) -> Result<Notification, String> {
        let url = self.url.read(directory).map_err(|problem| format!("url: {problem}"))?;
        if !url::Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err("url: it is not a URL with http or https".to_owned());
        }
        if self.events.is_empty() {
            return Err("events: it names none: push, pull, mount and delete are events".to_owned());
        }
        for path in &self.repositories {
            check_path_pattern(path).map_err(|problem| format!("repositories: {problem}"))?;
        }
        let key = self.secret.as_ref().map(|secret| secret.read(directory)).transpose();
        Ok(Notification {
            name: self.name.clone(),
            url,
            format: self.format,
            key: key.map_err(|problem| format!("secret: {problem}"))?,
            events: self.events.clone(),
            repositories: self.repositories.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Configuration;

    fn parse(keys: &str) -> Result<Configuration, String> {
        let text = format!("[[registry.notifications]]\n{keys}");
        Configuration::parse(&text, Path::new(".")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_endpoint_has_a_name_and_a_url() {
        let parsed = parse("name = \"flux\"\nurl = \"https://flux.example.com/hook/x\"\nsecret = \"hush\"").unwrap();
        let endpoint = &parsed.notifications[0];
        assert_eq!((endpoint.events.len(), endpoint.format), (3, NotificationFormat::Distribution));
        assert!(!endpoint.events.contains(&NotificationEvent::Pull));
        assert!(!format!("{parsed:?}").contains("hush") && !format!("{parsed:?}").contains("hook/x"));
        let usual = "name = \"x\"\nurl = \"https://x\"\n";
        for (keys, expected) in [
            ("name = \"x\"".to_owned(), "missing field `url`"),
            ("name = \"x\"\nurl = \"flux\"".to_owned(), "not a URL"),
            ("name = \"\"\nurl = \"https://x\"".to_owned(), "a `name` of its own"),
            (format!("{usual}[[registry.notifications]]\n{usual}"), "a `name` of its own"),
            (format!("{usual}events = []"), "events"),
            (format!("{usual}events = [\"tag\"]"), "tag"),
            (format!("{usual}format = \"slack\""), "slack"),
            (format!("{usual}repositories = [\"A\"]"), "lower case"),
        ] {
            let error = parse(&keys).unwrap_err();
            assert!(error.contains(expected), "{keys}: {error}");
        }
    }
}
