//! Webhooks of repositories as the API shows them, and the deliveries to them.

use super::build::BuildDetails;
use super::text::word;
use super::time::moment;
use crate::configuration::document::Webhook;
use database::{Notification, NotificationState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The webhooks of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookList {
    /// The webhooks.
    pub webhooks: Vec<WebhookView>,
}

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookView {
    /// Unique in the repository.
    pub name: String,
    /// The receiver.
    pub url: String,
    /// Whether requests are signed.
    pub has_secret: bool,
    /// Events that it is notified of.
    pub events: Vec<String>,
    /// `slipway`, `dockerhub` or `slack`.
    pub format: String,
}

/// Deliveries to a repository's webhooks, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookDeliveryList {
    /// The deliveries.
    pub deliveries: Vec<WebhookDeliveryView>,
}

/// A delivery to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookDeliveryView {
    /// Its id, the same however often it is sent.
    pub id: String,
    /// Name of the webhook.
    pub webhook: String,
    /// The event.
    pub event: String,
    /// Id of the build.
    pub build: String,
    /// The tag that was pushed, for a webhook that is notified of each.
    pub tag: Option<String>,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// Number of requests that were sent.
    pub tries: i64,
    /// HTTP status of the last answer.
    pub status: Option<i64>,
    /// The failure of the last request.
    pub problem: Option<String>,
    /// The time of the event.
    pub at: Option<String>,
    /// The time of the last request.
    pub tried_at: Option<String>,
    /// The time of the next request, while it is pending.
    pub due_at: Option<String>,
}

/// A delivery that is sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayView {
    /// Its id.
    pub id: String,
    /// Always `pending`.
    pub state: String,
}

/// The body of a request to a webhook of the format `slipway`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BuildEvent {
    /// `queued`, `started`, `succeeded`, `failed`, `fixed` or `cancelled`.
    pub event: String,
    /// Id of the delivery.
    pub delivery: String,
    /// The time of the event.
    pub at: Option<String>,
    /// Grows with the pushes to a ref, so that a receiver can tell that a late delivery is old.
    pub sequence: i64,
    /// The build as it is when the request is sent.
    pub build: BuildDetails,
}

impl From<&Webhook> for WebhookView {
    fn from(webhook: &Webhook) -> WebhookView {
        WebhookView {
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            has_secret: webhook.key.is_some(),
            events: webhook.events.iter().map(word).collect(),
            format: word(webhook.format),
        }
    }
}

impl From<&Notification> for WebhookDeliveryView {
    fn from(notification: &Notification) -> WebhookDeliveryView {
        let is_pending = notification.state == NotificationState::Pending;
        WebhookDeliveryView {
            id: notification.id.clone(),
            webhook: notification.webhook.clone(),
            event: word(notification.event),
            build: notification.build.as_str().to_owned(),
            tag: notification.tag.clone(),
            state: notification.state.as_str().to_owned(),
            tries: notification.tries,
            status: notification.status,
            problem: notification.problem.clone(),
            at: moment(notification.created_ms),
            tried_at: notification.tried_ms.and_then(moment),
            due_at: is_pending.then(|| moment(notification.due_ms)).flatten(),
        }
    }
}
