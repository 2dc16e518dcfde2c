//! The states of a build, and their names in the database and the API.

use serde::{Deserialize, Serialize};

/// Where a build is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildState {
    /// Waits for a worker.
    Queued,
    /// A worker fetches the commit, plans and resolves.
    Preparing,
    /// Steps are executed.
    Building,
    /// The last layers, the manifest and the tags are pushed.
    Pushing,
    /// The image is in the registry.
    Succeeded,
    /// The user's Dockerfile, source or settings are to blame.
    Failed,
    /// The service or an upstream is to blame, after all attempts.
    Errored,
    /// Somebody asked for its end.
    Cancelled,
    /// A newer commit of the same ref was published or queued first.
    Superseded,
    /// It took longer than it may.
    TimedOut,
    /// Nothing was to be built: the push cannot change the image.
    Skipped,
}

/// All states, in the order of a build's life.
const STATES: [BuildState; 11] = [
    BuildState::Queued,
    BuildState::Preparing,
    BuildState::Building,
    BuildState::Pushing,
    BuildState::Succeeded,
    BuildState::Failed,
    BuildState::Errored,
    BuildState::Cancelled,
    BuildState::Superseded,
    BuildState::TimedOut,
    BuildState::Skipped,
];

impl BuildState {
    /// Returns the state's name, as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            BuildState::Queued => "queued",
            BuildState::Preparing => "preparing",
            BuildState::Building => "building",
            BuildState::Pushing => "pushing",
            BuildState::Succeeded => "succeeded",
            BuildState::Failed => "failed",
            BuildState::Errored => "errored",
            BuildState::Cancelled => "cancelled",
            BuildState::Superseded => "superseded",
            BuildState::TimedOut => "timed_out",
            BuildState::Skipped => "skipped",
        }
    }

    /// Returns the state with this name.
    pub fn parse(name: &str) -> Option<Self> {
        BuildState::all().find(|state| state.as_str() == name)
    }

    /// Returns all states, in the order of a build's life.
    pub fn all() -> impl Iterator<Item = Self> {
        STATES.into_iter()
    }

    /// Tells whether a build in this state will not change any more.
    pub fn has_ended(self) -> bool {
        !matches!(self, BuildState::Queued | BuildState::Preparing | BuildState::Building | BuildState::Pushing)
    }
}
