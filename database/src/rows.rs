//! Rows of builds and what they become.

use crate::sealed::open_spec;
use crate::sql::Row;
use crate::{Build, BuildId, BuildRequest, BuildState, Error};
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use uuid::{ContextV7, Timestamp, Uuid};

/// The columns of a build, in the order in which [`build`] reads them.
pub const BUILD: &str = "id, number, repository, rule, commit_message, trigger_json, spec_json, sequence, state, attempt, \
     commit_id, reason_json, image_json, created_ms, started_ms, finished_ms, version, cancel_requested, is_held, approved_by, \
     log_removed_ms, warnings_json";

/// Counts the ids of one millisecond.
static IDS: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// Returns a new id of a kind, later than those that this process made before for the same or an earlier moment.
pub fn new_id(kind: &str, now_ms: i64) -> String {
    let (seconds, rest) = (now_ms.div_euclid(1000), now_ms.rem_euclid(1000));
    let context = IDS.lock().unwrap_or_else(PoisonError::into_inner);
    let time = Timestamp::from_unix(&*context, seconds as u64, rest as u32 * 1_000_000);
    format!("{kind}_{}", Uuid::new_v7(time).simple())
}

impl BuildId {
    /// Returns a new id, later than those that this process made before for the same or an earlier moment.
    pub(crate) fn at(now_ms: i64) -> Self {
        BuildId(new_id("bld", now_ms))
    }

    /// Returns what comes before the ids of all builds that were asked for at a moment or later.
    pub(crate) fn first_since(moment_ms: i64) -> String {
        format!("bld_{:012x}", moment_ms.max(0))
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

/// Reads a build from the columns of [`BUILD`], with its number filled in.
pub fn build(row: &Row) -> Result<Build, Error> {
    let mut build = stored_build(row)?;
    if build.request.spec.names_number() {
        build.request.spec = build.request.spec.with_number(build.number);
    }
    Ok(build)
}

/// Reads a build as it was asked for.
pub fn stored_build(row: &Row) -> Result<Build, Error> {
    Ok(Build {
        id: id(row, 0)?,
        number: row.get(1)?,
        request: BuildRequest {
            repository: row.get(2)?,
            rule: row.get(3)?,
            commit_message: row.get(4)?,
            trigger: json(&row.get::<String>(5)?)?,
            spec: open_spec(&row.get::<String>(2)?, &row.get::<String>(6)?)?,
        },
        sequence: row.get(7)?,
        state: state(row, 8)?,
        attempt: row.get(9)?,
        commit: row.get(10)?,
        reason: optional_json(row, 11)?,
        image: optional_json(row, 12)?,
        created_ms: row.get(13)?,
        started_ms: row.get(14)?,
        finished_ms: row.get(15)?,
        version: row.get(16)?,
        cancel_requested: row.get(17)?,
        is_held: row.get(18)?,
        approved_by: row.get(19)?,
        log_removed_ms: row.get(20)?,
        warnings: optional_json(row, 21)?.unwrap_or_default(),
    })
}

/// Reads the id of a build.
pub fn id(row: &Row, column: usize) -> Result<BuildId, Error> {
    BuildId::parse(&row.get::<String>(column)?).ok_or(Error::Damaged("the id of a build"))
}

/// Reads the ids of builds in the first column.
pub fn ids(rows: &[Row]) -> Result<Vec<BuildId>, Error> {
    rows.iter().map(|row| id(row, 0)).collect()
}

/// Reads the state of a build.
pub fn state(row: &Row, column: usize) -> Result<BuildState, Error> {
    BuildState::parse(&row.get::<String>(column)?).ok_or(Error::Damaged("the state of a build"))
}

fn optional_json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<Option<T>, Error> {
    row.get::<Option<String>>(column)?.map(|text| json(&text)).transpose()
}

/// Reads a document.
pub fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Damaged("a document"))
}

/// Writes a document.
pub fn to_json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Damaged("a document"))
}
