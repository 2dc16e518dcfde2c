//! Sends notifications of the embedded registry to its endpoints, each endpoint's in order, until they are taken.

use super::notify::{Outgoing, Post, explained, signature, timed_signature, verdict};
use crate::configuration::notification_section::{Notification, NotificationFormat};
use crate::view::time::moment;
use database::{Database, RegistryNotification, Sent, StatusAnswer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often the database is asked for notifications.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long an endpoint has to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Notifications that are read at once.
const BATCH: u32 = 50;
/// Notifications that an endpoint which does not answer may leave behind; the oldest go.
const MAX_WAITING: u32 = 10_000;
/// Media type of the distribution's notifications.
const DISTRIBUTION: &str = "application/vnd.docker.distribution.events.v2+json";
/// Media type of a CloudEvent that is whole in the body.
const CLOUD_EVENT: &str = "application/cloudevents+json";

/// Sends the notifications of one endpoint.
struct Lane {
    database: Database,
    endpoint: Notification,
    /// The URL of the registry, or a name for it.
    source: String,
    post: Arc<dyn Post>,
}

/// Sends notifications to all endpoints until `stopped`. `source` is the registry's URL.
pub async fn notify_endpoints(
    database: Database,
    endpoints: Vec<Notification>,
    source: String,
    post: Arc<dyn Post>,
    stopped: Receiver<bool>,
) {
    let names: Vec<String> = endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
    if let Err(error) = database.forget_registry_endpoints(&names).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "notifications of earlier endpoints stay");
    }
    let lanes = endpoints.into_iter().map(|endpoint| {
        let (database, source, post) = (database.clone(), source.clone(), post.clone());
        tokio::spawn(Lane { database, endpoint, source, post }.keep(stopped.clone()))
    });
    for lane in lanes.collect::<Vec<_>>() {
        let _ = lane.await;
    }
}

impl Lane {
    async fn keep(self, mut stopped: Receiver<bool>) {
        while !*stopped.borrow() {
            if let Err(error) = self.send_due(&stopped).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "notifications of the registry cannot be read"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        }
    }

    /// Sends what is due, one after the other: one that is not taken holds up those behind it.
    async fn send_due(&self, stopped: &Receiver<bool>) -> Result<(), database::Error> {
        loop {
            let due = self.database.due_registry_notifications(&self.endpoint.name, BATCH).await?;
            let is_all = due.len() < BATCH as usize;
            for notification in due {
                if *stopped.borrow() {
                    return Ok(());
                }
                let answer = self.send(&notification).await;
                self.database.acknowledge_registry_notification(notification.id, &answer).await?;
                if !answer.is_final() {
                    self.trim().await?;
                    return Ok(());
                }
            }
            if is_all {
                return Ok(());
            }
        }
    }

    async fn trim(&self) -> Result<(), database::Error> {
        let endpoint = &self.endpoint.name;
        let dropped = self.database.trim_registry_notifications(endpoint, MAX_WAITING).await?;
        if dropped > 0 {
            tracing::error!(
                endpoint,
                dropped,
                "an endpoint of the registry does not answer: its oldest notifications went"
            );
        }
        Ok(())
    }

    async fn send(&self, notification: &RegistryNotification) -> StatusAnswer {
        let (endpoint, tries) = (&self.endpoint.name, notification.tries);
        let answer = tokio::time::timeout(TIMEOUT, self.post.post(self.request(notification))).await;
        let late = || Err(format!("no answer within {} seconds", TIMEOUT.as_secs()));
        let (sent, problem) = match answer.unwrap_or_else(|_| late()) {
            Ok(status) => (verdict(status), explained(status).unwrap_or_default()),
            Err(problem) => (Sent::Again, problem),
        };
        match sent {
            Sent::Delivered => StatusAnswer::Taken,
            Sent::Again => {
                tracing::warn!(endpoint, tries, problem, "a notification of the registry is sent again later");
                StatusAnswer::Again(problem)
            }
            Sent::Refused => {
                tracing::error!(
                    endpoint,
                    problem,
                    event = notification.event,
                    "a notification of the registry was refused"
                );
                StatusAnswer::Refused(problem)
            }
        }
    }

    fn request(&self, notification: &RegistryNotification) -> Outgoing {
        let mut event: Value = serde_json::from_str(&notification.event).unwrap_or_default();
        event["timestamp"] = moment(notification.created_ms).into();
        if event["source"]["addr"] == "" {
            event["source"]["addr"] = self.source.clone().into();
        }
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        let (kind, body) = match self.endpoint.format {
            NotificationFormat::Distribution => (DISTRIBUTION, json!({ "events": [event] })),
            NotificationFormat::Cloudevents => (CLOUD_EVENT, cloud_event(event, &self.source)),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let sent_at = time::OffsetDateTime::now_utc().unix_timestamp();
        let mut headers = vec![
            ("content-type", kind.to_owned()),
            ("webhook-id", id.clone()),
            ("webhook-timestamp", sent_at.to_string()),
        ];
        if let Some(key) = &self.endpoint.key {
            let signed = signature(key, &body);
            // The names that GitHub and receivers without one of their own read.
            headers.push(("x-hub-signature-256", signed.clone()));
            headers.push(("x-signature", signed));
            headers.push(("webhook-signature", timed_signature(key, &format!("{id}.{sent_at}."), &body)));
        }
        Outgoing { url: self.endpoint.url.clone(), addresses: Vec::new(), headers, body }
    }
}

/// Returns the event as a CloudEvent of version 1.0, whose data is the distribution's.
fn cloud_event(event: Value, source: &str) -> Value {
    let target = &event["target"];
    let text = |key: &str| target[key].as_str().unwrap_or_default();
    let (repository, tag, digest) = (text("repository"), text("tag"), text("digest"));
    let subject = match (tag, digest) {
        ("", "") => repository.to_owned(),
        ("", digest) => format!("{repository}@{digest}"),
        (tag, _) => format!("{repository}:{tag}"),
    };
    json!({
        "specversion": "1.0",
        "id": event["id"],
        "source": source,
        "type": format!("io.slipway.registry.{}", event["action"].as_str().unwrap_or_default()),
        "subject": subject,
        "time": event["timestamp"],
        "datacontenttype": "application/json",
        "data": event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_event_names_what_it_is_about() {
        let event = |target: Value| json!({"id": "1", "action": "push", "target": target, "timestamp": "t"});
        for (target, subject) in [
            (json!({"repository": "team/app", "tag": "1", "digest": "sha256:ab"}), "team/app:1"),
            (json!({"repository": "team/app", "digest": "sha256:ab"}), "team/app@sha256:ab"),
            (json!({"repository": "team/app"}), "team/app"),
        ] {
            let told = cloud_event(event(target), "https://hub.example.com");
            assert_eq!(
                (told["subject"].as_str(), told["type"].as_str()),
                (Some(subject), Some("io.slipway.registry.push"))
            );
            assert_eq!((told["specversion"].as_str(), told["time"].as_str()), (Some("1.0"), Some("t")));
            assert_eq!(told["data"]["action"], "push");
        }
    }
}
