//! Sends webhook deliveries, which were written together with each change of a build. A body is made when it is sent:
//! `build` is the build as it is then, and what happened when stands beside it.

use super::body;
use crate::configuration::document::{Format, Webhook};
use crate::configuration::network::Refused;
use crate::configuration::settings::Settings;
use crate::intake::catalog::{Catalog, Entry};
use crate::view::build::BuildDetails;
use crate::view::code::Code;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use database::{Database, Notification, NotificationState, Sent, WebhookRecord};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

/// How often the database is asked for due webhook deliveries.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long a receiver has to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum concurrent requests.
const MAX_IN_FLIGHT: usize = 64;
/// Maximum concurrent requests to one host, so that a host that does not answer delays only its own.
const MAX_PER_HOST: usize = 4;
/// The problem that is recorded for a URL that leads to a private address.
const NOT_PUBLIC: &str = "the URL leads to a private address; the operator allows addresses with `[network] allow`";

/// A request to a webhook.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where it goes.
    pub url: String,
    /// The addresses that may be connected to; any, if there are none.
    pub addresses: Vec<SocketAddr>,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// The HTTP status of an answer, or why there is none.
pub type Posted = Pin<Box<dyn Future<Output = Result<u16, String>> + Send>>;

/// Sends requests; the program has the HTTP client. It must not follow redirects.
pub trait Post: Send + Sync + 'static {
    /// Posts a request once.
    fn post(&self, request: Outgoing) -> Posted;
}

/// Sends webhook deliveries.
#[derive(Clone)]
struct Dispatcher {
    database: Database,
    settings: Arc<Settings>,
    post: Arc<dyn Post>,
}

/// Registers all webhooks with the database, so that changes of builds are recorded for them from now on.
pub async fn register_webhooks(database: &Database, settings: &Settings) -> Result<(), database::Error> {
    let catalog = Catalog::new(settings);
    let all = catalog.all(database).await?;
    let of = |entry: &Arc<Entry>| {
        let records: Vec<WebhookRecord> = entry.repository.webhooks.iter().map(Webhook::record).collect();
        (entry.document.name.clone(), records)
    };
    database.register_webhooks(&all.iter().map(of).collect::<Vec<_>>()).await
}

/// Sends webhook deliveries until `stopped`.
pub async fn notify_webhooks(database: Database, settings: Settings, post: Arc<dyn Post>, mut stopped: Receiver<bool>) {
    let catalog = Catalog::new(&settings);
    let dispatcher = Dispatcher { database, settings: Arc::new(settings), post };
    let mut in_flight = InFlight::default();
    while !*stopped.borrow() {
        if let Err(error) = start_due(&dispatcher, &catalog, &mut in_flight).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "webhook deliveries cannot be read");
        }
        tokio::select! {
            Some(ended) = in_flight.tasks.join_next(), if !in_flight.tasks.is_empty() => in_flight.ended(ended.ok()),
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
    // The next server sends requests in flight again if their answers come too late.
}

/// The receiver of a request.
struct Target {
    /// Repository and name of the webhook.
    webhook: String,
    /// Host of its URL.
    host: String,
}

/// Requests that are in flight, by their receivers.
#[derive(Default)]
struct InFlight {
    tasks: JoinSet<Target>,
    webhooks: HashMap<String, usize>,
    hosts: HashMap<String, usize>,
}

impl InFlight {
    fn takes(&self, target: &Target) -> bool {
        let at = |counts: &HashMap<String, usize>, key: &str| counts.get(key).copied().unwrap_or(0);
        let is_free = at(&self.webhooks, &target.webhook) == 0;
        self.tasks.len() < MAX_IN_FLIGHT && is_free && at(&self.hosts, &target.host) < MAX_PER_HOST
    }

    fn begin(&mut self, target: Target, work: impl Future<Output = ()> + Send + 'static) {
        *self.webhooks.entry(target.webhook.clone()).or_default() += 1;
        *self.hosts.entry(target.host.clone()).or_default() += 1;
        self.tasks.spawn(async move {
            work.await;
            target
        });
    }

    fn ended(&mut self, ended: Option<Target>) {
        match ended {
            Some(target) => {
                self.webhooks.remove(&target.webhook);
                if let Some(count) = self.hosts.get_mut(&target.host) {
                    *count -= 1;
                }
                self.hosts.retain(|_, count| *count > 0);
            }
            // A task that panicked does not say which it was.
            None if self.tasks.is_empty() => *self = InFlight::default(),
            None => {}
        }
    }
}

async fn start_due(
    dispatcher: &Dispatcher,
    catalog: &Catalog,
    in_flight: &mut InFlight,
) -> Result<(), database::Error> {
    for notification in dispatcher.database.due_notifications(4 * MAX_IN_FLIGHT as u32).await? {
        let found = match find(&dispatcher.database, catalog, &notification).await? {
            Some(found) => Some(found),
            // It may be newer than what is known of the repository.
            None => {
                catalog.changed();
                find(&dispatcher.database, catalog, &notification).await?
            }
        };
        let Some((entry, webhook)) = found else {
            let gone = "the webhook was removed";
            dispatcher.database.acknowledge_notification(&notification, Sent::Refused, None, Some(gone)).await?;
            continue;
        };
        let host = url::Url::parse(&webhook.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let webhook_name = format!("{} {}", notification.repository, notification.webhook);
        let target = Target { webhook: webhook_name, host: host.unwrap_or_default() };
        if in_flight.takes(&target) && dispatcher.database.take_notification(&notification).await? {
            let dispatcher = dispatcher.clone();
            in_flight.begin(target, async move { dispatcher.deliver(&entry, &webhook, notification).await });
        }
    }
    Ok(())
}

/// Returns the webhook that a delivery is for, with its repository.
async fn find(
    database: &Database,
    catalog: &Catalog,
    notification: &Notification,
) -> Result<Option<(Arc<Entry>, Webhook)>, database::Error> {
    let Some(entry) = catalog.get(database, &notification.repository).await? else { return Ok(None) };
    let webhook = entry.repository.webhooks.iter().find(|webhook| webhook.name == notification.webhook).cloned();
    Ok(webhook.map(|webhook| (entry, webhook)))
}

impl Dispatcher {
    async fn deliver(&self, entry: &Entry, webhook: &Webhook, notification: Notification) {
        let (sent, status, problem) = match self.send(entry, webhook, &notification).await {
            Ok(status) => {
                let sent = verdict(status);
                (sent, Some(i64::from(status)), explained(status))
            }
            Err((sent, problem)) => (sent, None, Some(problem)),
        };
        match self.database.acknowledge_notification(&notification, sent, status, problem.as_deref()).await {
            Ok(NotificationState::Failed) => {
                let (repo, webhook) = (&notification.repository, &notification.webhook);
                tracing::warn!(repo, webhook, delivery = notification.id, status, problem, "a webhook delivery failed");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a webhook delivery cannot be acknowledged")
            }
        }
    }

    async fn send(&self, entry: &Entry, webhook: &Webhook, notification: &Notification) -> Result<u16, (Sent, String)> {
        // The URL is not repeated: it often is a secret, and the record is shown to more than those who know it.
        let refused = |refused: Refused| match refused.code {
            Code::AddressNotAllowed => (Sent::Refused, NOT_PUBLIC.to_owned()),
            code => (Sent::Refused, code.as_str().to_owned()),
        };
        // URLs of the configuration are the operator's own, as its clone URLs are.
        let addresses = match entry.version {
            Some(_) => self.settings.network.check("url", &webhook.url).await.map_err(refused)?,
            None => None,
        };
        if addresses.as_ref().is_some_and(Vec::is_empty) {
            return Err((Sent::Again, "the host of the URL has no address".to_owned()));
        }
        let addresses = addresses.unwrap_or_default();
        let again = |error: database::Error| (Sent::Again, error.to_string());
        let build = self.database.build(&notification.build).await.map_err(again)?;
        let build = build.ok_or_else(|| (Sent::Refused, "the build was removed".to_owned()))?;
        let shown = BuildDetails::read(&self.database, &self.settings, &build).await.map_err(again)?;
        let body = match (&notification.tag, webhook.format) {
            (Some(tag), _) => body::dockerhub(tag, &build, &self.settings),
            (None, Format::Slack) => body::slack(notification.event, &build, &self.settings),
            (None, _) => body::slipway(notification, build.sequence, shown),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-slipway-event", notification.event.as_str().to_owned()),
            ("x-slipway-delivery", notification.id.clone()),
        ];
        let sent_at = time::OffsetDateTime::now_utc().unix_timestamp();
        headers.push(("webhook-id", notification.id.clone()));
        headers.push(("webhook-timestamp", sent_at.to_string()));
        if let Some(key) = &webhook.key {
            headers.push(("x-hub-signature-256", signature(key, &body)));
            headers
                .push(("webhook-signature", timed_signature(key, &format!("{}.{sent_at}.", notification.id), &body)));
        }
        let request = Outgoing { url: webhook.url.clone(), addresses, headers, body };
        let answer = tokio::time::timeout(TIMEOUT, self.post.post(request)).await;
        let late = || (Sent::Again, format!("no answer within {} seconds", TIMEOUT.as_secs()));
        answer.map_err(|_| late())?.map_err(|problem| (Sent::Again, problem))
    }
}

/// Returns the outcome that a status stands for: a receiver that calls a request wrong would do so again.
pub(crate) fn verdict(status: u16) -> Sent {
    match status {
        200..=299 => Sent::Delivered,
        408 | 429 => Sent::Again,
        400..=499 => Sent::Refused,
        _ => Sent::Again,
    }
}

/// Says what a status means where it is not that of a delivery.
pub(crate) fn explained(status: u16) -> Option<String> {
    match status {
        200..=299 => None,
        300..=399 => Some(format!("HTTP {status}: redirects are not followed, name the final URL")),
        _ => Some(format!("HTTP {status}")),
    }
}

/// Signs a body as GitHub does.
pub(crate) fn signature(key: &str, body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Signs a body with its id and time as Standard Webhooks does: what was recorded is not good for ever.
///
/// A key that is written as that standard's libraries make them (`whsec_` and base64) stands for the bytes in it.
pub(crate) fn timed_signature(key: &str, head: &str, body: &[u8]) -> String {
    let written = key.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    let key = written.unwrap_or_else(|| key.as_bytes().to_vec());
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(head.as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_signed_as_github_documents_it() {
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signature("It's a Secret to Everybody", b"Hello, World!"), expected);
        assert_ne!(signature("It's a Secret to Everybody", b"Hello, World?"), expected);
        // RFC 4231, test case 2.
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature("Jefe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn bodies_are_signed_with_their_time_as_standard_webhooks_documents_it() {
        // The example of the specification's libraries.
        let body = br#"{"test": 2432232314}"#;
        let signed =
            timed_signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.", body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_ne!(timed_signature("plain text", "a.1.", body), timed_signature("plain text", "a.2.", body));
    }

    #[test]
    fn answers_are_final_or_not() {
        for status in [200, 202, 204] {
            assert_eq!((verdict(status), explained(status)), (Sent::Delivered, None));
        }
        for status in [400, 401, 404, 410, 422] {
            assert_eq!(verdict(status), Sent::Refused, "{status}");
        }
        for status in [302, 307, 408, 429, 500, 503] {
            assert_eq!(verdict(status), Sent::Again, "{status}");
        }
        assert!(explained(302).is_some_and(|text| text.contains("not followed")));
    }

    #[tokio::test]
    async fn one_that_does_not_answer_holds_up_nobody_else() {
        let target = |webhook: &str, host: &str| Target { webhook: webhook.to_owned(), host: host.to_owned() };
        let mut in_flight = InFlight::default();
        for number in 0..MAX_PER_HOST {
            let hook = || target(&format!("hook {number}"), "slow");
            assert!(in_flight.takes(&hook()));
            in_flight.begin(hook(), std::future::pending());
        }
        assert!(!in_flight.takes(&target("another", "slow")) && !in_flight.takes(&target("hook 0", "fast")));
        assert!(in_flight.takes(&target("another", "fast")));
        in_flight.begin(target("another", "fast"), async {});
        let ended = in_flight.tasks.join_next().await.unwrap().unwrap();
        in_flight.ended(Some(ended));
        assert!(in_flight.takes(&target("another", "fast")) && !in_flight.takes(&target("more", "slow")));
    }
}
