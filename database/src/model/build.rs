//! Builds: the record of one, and how it is read from its row.

use crate::access::sealing::open_spec;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::build_request::BuildRequest;
use crate::model::build_state::BuildState;
use crate::model::json::json;
use crate::sql::statement::Row;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why a build ended as it did, for people and for tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code: `step_failed`, `dockerfile_not_found`, `source_auth`, `registry`, `cancelled`, …
    pub code: String,
    /// One or more plain lines; may hold a source snippet and the last lines a step printed.
    pub message: String,
}

/// An image that a registry accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedImage {
    /// Digest of the manifest.
    pub digest: String,
    /// Media type of the manifest.
    pub media_type: String,
    /// Bytes of all compressed layers and the config.
    pub size: u64,
    /// The references that name it now.
    pub tags: Vec<String>,
    /// Key of everything that the image was made from in the repository, for [`crate::Database::last_published`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_key: Option<String>,
    /// The images of registries that it was made from.
    #[serde(default)]
    pub base_images: Vec<BaseImage>,
}

/// An image that a build started from or copied from, as the registry had it then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BaseImage {
    /// The reference in the Dockerfile, completed: with a digest only if it is pinned there.
    pub reference: String,
    /// The platform it was taken for: `linux/amd64`.
    pub platform: String,
    /// Digest of that platform's manifest.
    pub digest: String,
}

/// A build as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its id.
    pub id: BuildId,
    /// Counts the builds of its repository from 1.
    pub number: i64,
    /// The request as it was accepted.
    pub request: BuildRequest,
    /// Order among the pushes to the same ref: the builds of one push have the same.
    pub sequence: i64,
    /// Where it is.
    pub state: BuildState,
    /// Which attempt runs or ran last; 0 before the first.
    pub attempt: i64,
    /// The commit, known from the start or resolved by the worker.
    pub commit: Option<String>,
    /// Why it ended so; `None` while it has not ended and after success.
    pub reason: Option<Reason>,
    /// The image, after success.
    pub image: Option<PushedImage>,
    /// Milliseconds since 1970, UTC.
    pub created_ms: i64,
    /// When the first attempt was claimed.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// Grows with every change of the build or its steps; good for `ETag`.
    pub version: i64,
    /// Whether somebody has asked for its end.
    pub cancel_requested: bool,
    /// Whether it waits until somebody approves it.
    pub is_held: bool,
    /// Who approved it: the name of a token.
    pub approved_by: Option<String>,
    /// When its log was removed because it was too old or there was too much, in milliseconds since 1970.
    pub log_removed_ms: Option<i64>,
    /// Warnings of its worker about the commit, a sentence each.
    pub warnings: Vec<String>,
}

/// The columns of a build, in the order in which [`build`] reads them.
pub const BUILD: &str = "id, number, repository, rule, commit_message, trigger_json, spec_json, sequence, state, attempt, \
     commit_id, reason_json, image_json, created_ms, started_ms, finished_ms, version, cancel_requested, is_held, approved_by, \
     log_removed_ms, warnings_json";

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
