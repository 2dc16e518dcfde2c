//! Deliveries as the API shows them, and the answers that forges get.

use super::time::moment;
use database::{BuildId, Delivery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A delivery of a forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    /// Its number.
    pub id: i64,
    /// `github`, `gitea`, `gitlab`, `bitbucket`, or `reconcile` for a push that no forge delivered.
    pub forge: String,
    /// The forge's id.
    pub delivery: String,
    /// Name of the event.
    pub event: String,
    /// `namespace/name`.
    pub repo: String,
    /// `pending`, `ignored` or `accepted`.
    pub status: String,
    /// Stable word for the reason why nothing is built.
    pub reason: Option<String>,
    /// A line for each rule that builds nothing.
    pub explain: Vec<String>,
    /// Time at which it was accepted.
    pub received_at: Option<String>,
    /// Ids of its builds.
    pub builds: Vec<String>,
}

/// A list of deliveries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryList {
    /// The deliveries.
    pub deliveries: Vec<DeliveryView>,
    /// `cursor` of the next part; null at the end.
    pub next_cursor: Option<String>,
}

/// The answer to a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DeliveryAnswer {
    /// It was stored, with its builds.
    Received(ReceivedView),
    /// It was stored before.
    Duplicate(DuplicateView),
    /// It was stored, and nothing is built.
    Ignored(IgnoredView),
    /// It was a ping.
    Pong(PongView),
}

/// A delivery that was stored, with its builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceivedView {
    /// The id of the delivery.
    pub delivery: String,
    /// Always true.
    pub received: bool,
    /// The builds that were queued.
    pub builds: Vec<StoredBuild>,
    /// A line for each rule that builds nothing.
    pub explain: Vec<String>,
    /// `rules`, if the repository's own rules are fetched first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
}

/// A delivery that was stored before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DuplicateView {
    /// The id of the delivery.
    pub delivery: String,
    /// Always true.
    pub duplicate: bool,
    /// Whether the same body came under another id.
    pub replay: bool,
    /// The builds of the first delivery.
    pub builds: Vec<StoredBuild>,
}

/// A delivery that builds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IgnoredView {
    /// The id of the delivery.
    pub delivery: String,
    /// Always true.
    pub ignored: bool,
    /// Stable word for the reason.
    pub reason: String,
    /// A line for each rule that builds nothing.
    pub explain: Vec<String>,
}

/// The answer to a ping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PongView {
    /// Always true.
    pub pong: bool,
    /// The repository whose key signed it.
    pub repository: String,
}

/// A build of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredBuild {
    /// Its id.
    pub id: String,
    /// Name of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// URL of the build.
    pub status_url: String,
    /// Sentences about parts that were changed or left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// References that the image gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// `namespace/name`.
    pub repo: String,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> DeliveryView {
        let status = match (delivery.is_pending, &delivery.ignored) {
            (true, _) => "pending",
            (false, Some(_)) => "ignored",
            (false, None) => "accepted",
        };
        DeliveryView {
            id: delivery.id,
            forge: delivery.forge.clone(),
            delivery: delivery.delivery.clone(),
            event: delivery.event.clone(),
            repo: delivery.repository.clone(),
            status: status.to_owned(),
            reason: delivery.ignored.clone(),
            explain: delivery.explain.clone(),
            received_at: moment(delivery.created_ms),
            builds: delivery.builds.iter().map(BuildId::as_str).map(str::to_owned).collect(),
        }
    }
}
