//! A repository's webhook and its deliveries, as its forge tells them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A webhook on a forge and its deliveries, in the forge's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgeDeliveriesView {
    /// Host of the forge.
    pub forge: String,
    /// The forge's id of the webhook, `app` for that of an App; `null` if it is not there.
    pub hook: Option<String>,
    /// Where it is to deliver.
    pub url: String,
    /// Its mistakes.
    pub faults: Vec<String>,
    /// Whether the forge's API has deliveries sent again.
    pub sends_again: bool,
    /// The limits of what the forge's API tells of deliveries.
    pub limits: Option<String>,
    /// The newest deliveries, newest first.
    pub deliveries: Vec<ForgeDeliveryView>,
}

/// A delivery, as its forge tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgeDeliveryView {
    /// The forge's id of the attempt.
    pub id: String,
    /// Its event.
    pub event: String,
    /// When it was sent, if the forge says.
    pub at: Option<String>,
    /// How it was answered.
    pub answer: String,
    /// Whether this delivery was never taken; only the newest attempt at it says so.
    pub failed: bool,
}

/// Deliveries that a forge was asked to send again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedeliveredView {
    /// Host of the forge.
    pub forge: String,
    /// Ids of those that it sends.
    pub redelivered: Vec<String>,
    /// The others.
    pub refused: Vec<NotRedelivered>,
}

/// A delivery that a forge does not send again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotRedelivered {
    /// Its id.
    pub id: String,
    /// The forge's words.
    pub problem: String,
}
