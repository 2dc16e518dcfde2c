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

const STATES: [(BuildState, &str); 11] = [
    (BuildState::Queued, "queued"),
    (BuildState::Preparing, "preparing"),
    (BuildState::Building, "building"),
    (BuildState::Pushing, "pushing"),
    (BuildState::Succeeded, "succeeded"),
    (BuildState::Failed, "failed"),
    (BuildState::Errored, "errored"),
    (BuildState::Cancelled, "cancelled"),
    (BuildState::Superseded, "superseded"),
    (BuildState::TimedOut, "timed_out"),
    (BuildState::Skipped, "skipped"),
];

impl BuildState {
    /// Returns the state's name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("queued", |(_, name)| name)
    }

    /// Returns the state with this name.
    pub fn parse(name: &str) -> Option<Self> {
        STATES.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// Returns all states, in the order of a build's life.
    pub fn all() -> impl Iterator<Item = Self> {
        STATES.iter().map(|(state, _)| *state)
    }

    /// Tells whether a build in this state will not change any more.
    pub fn has_ended(self) -> bool {
        !matches!(self, BuildState::Queued | BuildState::Preparing | BuildState::Building | BuildState::Pushing)
    }
}
