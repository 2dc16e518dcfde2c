//! The service itself as the API shows it, problems, and lines of logs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    /// Always `slipway`.
    pub name: String,
    /// The version.
    pub version: String,
}

/// The identity of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallerView {
    /// Name of the token.
    pub token: Option<String>,
    /// Name of the person, or service account, if the caller may all that they may.
    #[serde(default)]
    pub account: Option<String>,
    /// Whether the request has no token.
    pub anonymous: bool,
    /// `read`, `trigger` and `admin`, as far as they are granted.
    pub scopes: Vec<String>,
    /// Repositories that the token is good for; null for all.
    pub repositories: Option<Vec<String>>,
}

/// A problem (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemView {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the HTTP status.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The mistake, and the remedy.
    pub detail: String,
    /// Stable code.
    pub code: String,
    /// A next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A line for each rule that builds nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explain: Vec<String>,
}

/// A piece of a log, as a line of `format=ndjson`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Byte position in the build's log.
    pub offset: i64,
    /// The step that printed it; null for slipway's own lines.
    pub step: Option<i64>,
    /// The time at which it was printed.
    pub at: Option<String>,
    /// The text.
    pub text: String,
}

/// The data of a `log` event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogEvent {
    /// The step that printed it; null for slipway's own lines.
    pub step: Option<i64>,
    /// The text.
    pub text: String,
}

/// The data of a `state` or `end` event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StateEvent {
    /// The build's state; null if the build was removed.
    pub state: Option<String>,
}

/// A badge, as shields.io reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadgeView {
    /// Always 1.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    /// The left part.
    pub label: String,
    /// The right part.
    pub message: String,
    /// Name of its color.
    pub color: String,
}
