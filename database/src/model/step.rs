//! Steps and logs of builds, as people see them. Plain data, no SQL.

use serde::{Deserialize, Serialize};

/// One step of a build, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Counts the steps of the build from 1, in the order of the plan.
    pub number: i64,
    /// The instruction as it is written, joined to one line.
    pub instruction: String,
    /// Name or number of its stage.
    pub stage: String,
    /// First line in the Dockerfile, from 1.
    pub line: i64,
    /// Where it is.
    pub state: StepState,
    /// Whether the layer came from the cache.
    pub cached: bool,
    /// Exit code of the command of a `RUN`.
    pub exit_code: Option<i64>,
    /// Digest of the compressed layer.
    pub layer_digest: Option<String>,
    /// Bytes of the compressed layer.
    pub layer_size: Option<u64>,
    /// When what it needs was there and it started, in milliseconds since 1970.
    pub started_ms: Option<i64>,
    /// How long it took from then on.
    pub duration_ms: Option<i64>,
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not yet begun.
    Pending,
    /// Needs the files of another stage, which is not done.
    Waiting,
    /// Under way.
    Running,
    /// Done, or taken from the cache.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Given up while it ran, because another step failed or the build was cancelled.
    Cancelled,
    /// Not begun when the build ended.
    NotReached,
}

impl StepState {
    /// Returns the state's name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            StepState::Pending => "pending",
            StepState::Waiting => "waiting",
            StepState::Running => "running",
            StepState::Succeeded => "succeeded",
            StepState::Failed => "failed",
            StepState::Cancelled => "cancelled",
            StepState::NotReached => "not_reached",
        }
    }
}

/// A piece of a build's log. The log of a build is the concatenation of its chunks in the order of `offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Byte position of the chunk in the build's log.
    pub offset: i64,
    /// The step that printed it; `None` for what slipway itself says.
    pub step: Option<i64>,
    /// The printed bytes.
    pub text: Vec<u8>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}
