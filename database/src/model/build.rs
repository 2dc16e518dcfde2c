//! Builds: the record of one, and its columns, to select, to read and to insert.

use crate::access::sealing::{open_spec, seal_spec};
use crate::access::secret_key::SecretKey;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::build_request::{BuildRequest, Policy};
use crate::model::build_state::BuildState;
use crate::model::json::to_json;
use crate::model::pushed_image::PushedImage;
use crate::sql::columns::{Cell, build_id, columns, document, get, list, optional_document};
use crate::sql::statement::{Row, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why a build ended as it did, for people and for tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code: `step_failed`, `dockerfile_not_found`, `source_auth`, `registry`, `cancelled`, …
    pub code: String,
    /// One or more plain lines; may hold a source snippet and the last lines a step printed.
    pub message: String,
}

columns! {
    /// A build as it is stored.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Build {
        /// Its id.
        pub id: BuildId = build_id "id",
        /// Counts the builds of its repository from 1.
        pub number: i64 = get "number",
        /// The request as it was accepted.
        pub request: BuildRequest = read_request "repository, rule, commit_message, trigger_json, spec_json",
        /// Order among the pushes to the same ref: the builds of one push have the same.
        pub sequence: i64 = get "sequence",
        /// Where it is in its life.
        pub state: BuildState = build_state "state",
        /// The attempt that runs or ran last; 0 before the first.
        pub attempt: i64 = get "attempt",
        /// The commit, known from the start or resolved by the worker.
        pub commit: Option<String> = get "commit_id",
        /// Why it ended so; `None` while it has not ended and after success.
        pub reason: Option<Reason> = optional_document "reason_json",
        /// The image, after success.
        pub image: Option<PushedImage> = optional_document "image_json",
        /// Milliseconds since 1970, UTC.
        pub created_ms: i64 = get "created_ms",
        /// When the first attempt was claimed.
        pub started_ms: Option<i64> = get "started_ms",
        /// When it ended.
        pub finished_ms: Option<i64> = get "finished_ms",
        /// Grows with every change of the build or its steps; good for `ETag`.
        pub version: i64 = get "version",
        /// Whether somebody has asked for its end.
        pub cancel_requested: bool = get "cancel_requested",
        /// Whether it waits until somebody approves it.
        pub awaits_approval: bool = get "awaits_approval",
        /// Name of the token that approved it.
        pub approved_by: Option<String> = get "approved_by",
        /// When its log was removed because it was too old or there was too much, in milliseconds since 1970.
        pub log_removed_ms: Option<i64> = get "log_removed_ms",
        /// Warnings of its worker about the commit, a sentence each.
        pub warnings: Vec<String> = list "warnings_json",
    }
}

/// The select list of a build, for statements.
pub(crate) const BUILD: &str = Build::COLUMNS;

/// A build that is about to be stored.
#[derive(Debug)]
pub(crate) struct NewBuild {
    /// Its id.
    pub id: BuildId,
    /// Row of its delivery.
    pub delivery: Option<i64>,
    /// Row of its push.
    pub push: Option<i64>,
    /// Order among the pushes to the same ref.
    pub sequence: i64,
    /// The accepted request.
    pub request: BuildRequest,
}

impl NewBuild {
    /// Returns the row of the build. Of the new builds of its repository in the same statement it is number `rank`, from 1.
    pub(crate) fn row(
        &self,
        rank: usize,
        key: Option<&Arc<SecretKey>>,
        now_ms: i64,
    ) -> Result<Vec<(&'static str, Cell)>, Error> {
        let (request, spec) = (&self.request, &self.request.spec);
        // A build that waits for approval is in no serial group, before and afterwards: nobody waits for it.
        let is_serial = spec.options.policy == Policy::Serial && !request.awaits_approval();
        // The greatest number is that before the statement, for all of its rows.
        let number = format!("(SELECT COALESCE(MAX(number), 0) FROM builds WHERE repository = ?) + {rank}");
        Ok(vec![
            ("id", self.id.as_str().into()),
            ("number", Cell::Computed(number, Value::from(&request.repository))),
            ("delivery_id", self.delivery.into()),
            ("push_id", self.push.into()),
            ("repository", (&request.repository).into()),
            ("rule", (&request.rule).into()),
            ("group_id", request.group().map(|group| group.as_str().to_owned()).into()),
            ("commit_message", (&request.commit_message).into()),
            ("trigger_kind", request.trigger.kind().into()),
            ("trigger_json", to_json(&request.trigger)?.into()),
            // The number is filled in whenever the build is read, so that a repetition gets one of its own.
            ("spec_json", seal_spec(key, &request.repository, spec)?.into()),
            ("git_ref", (&spec.git_ref).into()),
            ("sequence", self.sequence.into()),
            ("concurrency_group", request.concurrency_group().into()),
            ("is_serial", is_serial.into()),
            ("awaits_approval", request.awaits_approval().into()),
            // In a serial group the order is that of acceptance.
            ("priority", if is_serial { 0 } else { spec.options.priority }.into()),
            ("state", BuildState::Queued.as_str().into()),
            ("commit_id", (&spec.commit).into()),
            ("created_ms", now_ms.into()),
        ])
    }
}

/// Reads a build, with its number filled in.
pub(crate) fn build(row: &Row) -> Result<Build, Error> {
    let mut build = Build::read(row)?;
    if build.request.spec.names_number() {
        build.request.spec = build.request.spec.with_number(build.number);
    }
    Ok(build)
}

fn read_request(row: &Row, _columns: &str) -> Result<BuildRequest, Error> {
    let repository: String = get(row, "repository")?;
    Ok(BuildRequest {
        spec: open_spec(&repository, &get::<String>(row, "spec_json")?)?,
        rule: get(row, "rule")?,
        commit_message: get(row, "commit_message")?,
        trigger: document(row, "trigger_json")?,
        repository,
    })
}

/// Reads the state of a build.
pub(crate) fn build_state(row: &Row, column: &str) -> Result<BuildState, Error> {
    BuildState::parse(&get::<String>(row, column)?).ok_or(Error::Damaged("the state of a build"))
}

/// Reads the ids of builds.
pub(crate) fn ids(rows: &[Row]) -> Result<Vec<BuildId>, Error> {
    rows.iter().map(|row| build_id(row, "id")).collect()
}
