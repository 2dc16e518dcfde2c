//! Webhooks of a repository: whom slipway tells of its builds.

use super::compile::check_name;
use crate::configuration::network;
use crate::configuration::secret::Secret;
use database::{Event, WebhookRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most webhooks of a repository.
const MAX_WEBHOOKS: usize = 20;
/// Events of a webhook that lists none.
const DEFAULT_EVENTS: [Event; 3] = [Event::Succeeded, Event::Failed, Event::Fixed];

/// A webhook as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookDocument {
    /// Unique in the repository; the host of the URL, if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where requests go.
    pub url: String,
    /// Key that requests are signed with; written, never shown.
    #[serde(default, skip_serializing)]
    pub secret: Option<Secret>,
    /// Events that it is notified of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub events: Option<Vec<Event>>,
    /// Format of the body of a webhook delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// Format of the body of a webhook delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The build as the API shows it.
    #[default]
    Slipway,
    /// The body of Docker Hub's webhooks.
    Dockerhub,
    /// A line for people, as chats take it: Slack, Mattermost, Rocket.Chat, Discord under `/slack`.
    Slack,
}

/// A webhook, checked.
#[derive(Clone)]
pub struct Webhook {
    /// Unique in the repository.
    pub name: String,
    /// Where requests go.
    pub url: String,
    /// Events that it is notified of.
    pub events: Vec<Event>,
    /// Format of the body of a webhook delivery.
    pub format: Format,
    /// Key that requests are signed with.
    pub key: Option<String>,
}

impl Webhook {
    /// Returns the record from which changes of builds become deliveries.
    pub fn record(&self) -> WebhookRecord {
        let is_per_tag = self.format == Format::Dockerhub;
        WebhookRecord { name: self.name.clone(), events: self.events.clone(), is_per_tag }
    }
}

/// Checks webhooks; their keys are read elsewhere.
pub(crate) fn webhooks(documents: &[WebhookDocument]) -> Result<Vec<Webhook>, String> {
    if documents.len() > MAX_WEBHOOKS {
        return Err(format!("there are {} webhooks, at most {MAX_WEBHOOKS} are told", documents.len()));
    }
    let mut webhooks: Vec<Webhook> = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        let place = |problem| format!("webhooks[{number}]: {problem}");
        let webhook = document.compile().map_err(place)?;
        if webhooks.iter().any(|other| other.name == webhook.name) {
            return Err(place(format!("there are two webhooks called `{}`: give them a `name` each", webhook.name)));
        }
        webhooks.push(webhook);
    }
    Ok(webhooks)
}

impl WebhookDocument {
    fn compile(&self) -> Result<Webhook, String> {
        let url = network::parse("url", &self.url).map_err(|refused| refused.detail)?;
        let host = url.host_str().unwrap_or_default();
        let name = self.name.clone().unwrap_or_else(|| host.to_owned());
        check_name("webhook", &name)?;
        let format = self.format.unwrap_or_default();
        let events = match (&self.events, format) {
            (Some(_), Format::Dockerhub) => {
                return Err(
                    "the format `dockerhub` tells of pushed tags and of nothing else: leave `events` out".into()
                );
            }
            (None, Format::Dockerhub) => vec![Event::Succeeded],
            (None, _) => DEFAULT_EVENTS.to_vec(),
            (Some(events), _) if events.is_empty() => {
                return Err("`events` is empty, so it would be told nothing: name some, or leave it out".into());
            }
            (Some(events), _) => events.clone(),
        };
        Ok(Webhook { name, url: self.url.clone(), events, format, key: None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RepositoryDocument, compile, from_toml};
    use super::*;

    const START: &str = "name = \"team/app\"\nclone_url = \"https://x/y.git\"\nimage = \"r.example.com/team/app\"\n";

    fn read(text: &str) -> Result<Vec<Webhook>, String> {
        let text = format!("{START}[[webhooks]]\n{text}");
        let document = from_toml::<RepositoryDocument>(&text).map_err(|error| error.to_string())?;
        compile(&document, Vec::new()).map(|repository| repository.webhooks)
    }

    #[test]
    fn what_is_left_out_is_usual() {
        let read_one = |text: &str| read(text).unwrap().remove(0);
        let plain = read_one("url = \"https://chat.example.com/hook\"\n");
        assert_eq!((plain.name.as_str(), plain.events.as_slice()), ("chat.example.com", DEFAULT_EVENTS.as_slice()));
        assert_eq!((plain.format, plain.record().is_per_tag), (Format::Slipway, false));
        let hub = read_one("url = \"https://chat.example.com/hook\"\nformat = \"dockerhub\"\nname = \"hub\"\n");
        assert_eq!((hub.name.as_str(), hub.record().is_per_tag), ("hub", true));
        let chat = read_one("url = \"https://chat.example.com/hook\"\nformat = \"slack\"\nevents = [\"failed\"]\n");
        assert_eq!((chat.format, chat.record().is_per_tag, chat.events), (Format::Slack, false, vec![Event::Failed]));
    }

    #[test]
    fn mistakes_are_named() {
        let url = "url = \"https://a.example.com/x\"\n";
        let cases = [
            (format!("{url}event = [\"failed\"]\n"), "unknown key `event`; did you mean `events`?"),
            (format!("{url}events = [\"faild\"]\n"), "unknown value `faild`; did you mean `failed`?"),
            (format!("{url}format = \"docker-hub\"\n"), "did you mean `dockerhub`?"),
            (format!("{url}events = []\n"), "told nothing"),
            (format!("{url}format = \"dockerhub\"\nevents = [\"failed\"]\n"), "leave `events` out"),
            (format!("{url}[[webhooks]]\n{url}"), "webhooks[1]: there are two webhooks called `a.example.com`"),
            ("name = \"x\"\n".to_owned(), "missing field `url`"),
            ("url = \"ftp://a.example.com\"\n".to_owned(), "only https:// and http://"),
            ("url = \"https://me:pass@a.example.com\"\n".to_owned(), "holds credentials"),
            ("url = \"https://[::1]/x\"\n".to_owned(), "webhook \"[::1]\""),
        ];
        for (text, expected) in cases {
            let error = read(&text).map(|webhooks| webhooks.len()).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_document_that_is_shown_and_read_again_is_the_same_but_for_secrets() {
        let text = format!(
            "{START}[[webhooks]]\nurl = \"https://a.example.com/x\"\nsecret = \"hush\"\nevents = [\"failed\", \"fixed\"]\n\
             [[webhooks]]\nname = \"hub\"\nurl = \"https://a.example.com/y\"\nformat = \"dockerhub\"\n"
        );
        let mut document: RepositoryDocument = from_toml(&text).unwrap();
        let shown = toml::to_string(&document).unwrap();
        assert!(!shown.contains("hush") && shown.contains("hub"), "{shown}");
        document.webhooks[0].secret = None;
        assert_eq!(from_toml::<RepositoryDocument>(&shown).unwrap(), document);
    }
}
