//! Requests to read a repository's own rules. Plain data, no SQL.

use crate::model::trigger::Trigger;
use serde::{Deserialize, Serialize};

/// A repository's own rules, to be read by a worker from the pushed commit before its builds are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRulesFetch {
    /// `namespace/name` of the repository in the configuration.
    pub repository: String,
    /// URL the commit is fetched from.
    pub clone_url: String,
    /// Full name of the ref.
    pub git_ref: String,
    /// Full hash of the commit; `None` for the newest of the ref.
    pub commit: Option<String>,
    /// First line of the commit's message, if it is known.
    pub commit_message: String,
    /// The trigger that asked for it.
    pub trigger: Trigger,
    /// Path of the file from the root of the repository.
    pub path: String,
    /// The one rule that is meant; all that match, if there is none.
    #[serde(default)]
    pub rule: Option<String>,
}

/// Where a rules fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchState {
    /// Waits for a worker.
    Open,
    /// A worker reads the file.
    Claimed,
    /// The file was read, or cannot be.
    Answered,
    /// The builds that the rules ask for are stored.
    Expanded,
}

impl FetchState {
    /// Returns the state's name, as it is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            FetchState::Open => "open",
            FetchState::Claimed => "claimed",
            FetchState::Answered => "answered",
            FetchState::Expanded => "expanded",
        }
    }
}
