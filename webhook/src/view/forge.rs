//! The forges of a server and their Apps, without anything secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The forges of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgeList {
    /// The forges.
    pub forges: Vec<ForgeView>,
}

/// A forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgeView {
    /// Its host.
    pub host: String,
    /// Its kind.
    pub kind: String,
    /// Whether the configuration has a token for it.
    pub has_token: bool,
    /// Whether an App may be made of it on the page of forges.
    pub may_have_app: bool,
    /// Its App.
    pub app: Option<ForgeAppView>,
}

/// An App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgeAppView {
    /// Its number.
    pub id: u64,
    /// Whether it was made on a page, and is not that of the configuration.
    pub is_made: bool,
    /// Its name.
    pub name: Option<String>,
    /// The address of its page on the forge.
    pub page: Option<String>,
    /// The person who made it.
    pub made_by: Option<String>,
}
