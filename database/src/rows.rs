//! Rows of builds and what they become.

use crate::{Build, BuildId, BuildRequest, BuildState, Error};
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::fmt;

/// The columns of a build, in no particular order.
pub const BUILD: &str = "id, number, repository, rule, commit_message, trigger_json, spec_json, sequence, state, attempt, \
     commit_id, reason_json, image_json, created_ms, started_ms, finished_ms, version, cancel_requested";

impl BuildId {
    /// Returns a new id, later than all before it.
    #[allow(clippy::new_without_default, reason = "a default that is never the same would mislead")]
    pub fn new() -> Self {
        BuildId(format!("bld_{}", uuid::Uuid::now_v7().simple()))
    }

    /// Parses an id; `None` for anything that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("bld_")?;
        let fine = digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        fine.then(|| BuildId(text.to_owned()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

const STATES: [(BuildState, &str); 10] = [
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

    /// Tells whether a build in this state will not change any more.
    pub fn has_ended(self) -> bool {
        !matches!(self, BuildState::Queued | BuildState::Preparing | BuildState::Building | BuildState::Pushing)
    }
}

/// Reads a build.
pub fn build(row: &SqliteRow) -> Result<Build, Error> {
    let damaged = |_| Error::Damaged("a build");
    let text = |column: &str| row.try_get::<String, _>(column).map_err(damaged);
    let state = BuildState::parse(&text("state")?).ok_or(Error::Damaged("the state of a build"))?;
    Ok(Build {
        id: BuildId::parse(&text("id")?).ok_or(Error::Damaged("the id of a build"))?,
        number: row.try_get("number").map_err(damaged)?,
        request: BuildRequest {
            repository: text("repository")?,
            rule: text("rule")?,
            commit_message: text("commit_message")?,
            trigger: json(&text("trigger_json")?)?,
            spec: json(&text("spec_json")?)?,
        },
        sequence: row.try_get("sequence").map_err(damaged)?,
        state,
        attempt: row.try_get("attempt").map_err(damaged)?,
        commit: row.try_get("commit_id").map_err(damaged)?,
        reason: optional_json(row, "reason_json")?,
        image: optional_json(row, "image_json")?,
        created_ms: row.try_get("created_ms").map_err(damaged)?,
        started_ms: row.try_get("started_ms").map_err(damaged)?,
        finished_ms: row.try_get("finished_ms").map_err(damaged)?,
        version: row.try_get("version").map_err(damaged)?,
        cancel_requested: row.try_get("cancel_requested").map_err(damaged)?,
    })
}

fn optional_json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<Option<T>, Error> {
    let text: Option<String> = row.try_get(column).map_err(|_| Error::Damaged("a build"))?;
    text.map(|text| json(&text)).transpose()
}

/// Reads a document.
pub fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Damaged("a document"))
}

/// Writes a document.
pub fn to_json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Damaged("a document"))
}
