//! Worker queries: what a request wants to know of a commit, answered by a worker while the request waits.
//!
//! The service runs no git and reads no Dockerfile: it stores a worker query and looks for the answer. Nothing follows from a
//! worker query: one that nobody answers in time is forgotten.

use crate::database::Database;
use crate::deliveries::rules_fetch::RulesFetchResult;
use crate::error::Error;
use crate::history::contents::{DiskUse, ImageContents, ImageDifference, ImagePair, ImagePart, ShadowPair};
use crate::history::explain::Explained;
use crate::model::build::Reason;
use crate::model::build_id::BuildId;
use crate::model::build_request::BuildRequest;
use crate::model::json::{json, to_json};
use crate::model::rules_fetch::NewRulesFetch;
use crate::sql::clock::millis;
use crate::sql::schema;
use crate::sql::statement::sql;
use crate::sql::states::{QUERY_ANSWERED, QUERY_OPEN, QUERY_TAKEN};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long anybody waits for an answer; an older query is not worth a worker's time.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// A query about a commit or a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerQuery {
    /// Which rules a repository keeps itself at a commit.
    Rules(NewRulesFetch),
    /// The steps of a build, and which of them are cached.
    Steps(Box<BuildRequest>),
    /// Why the steps of a build that ended were executed or not.
    Explain {
        /// The build.
        build: BuildId,
        /// The build that it is compared with.
        against: BuildId,
    },
    /// The layers, settings and files of an image.
    Image(ImagePart),
    /// In what two images differ.
    Compare(ImagePair),
    /// In what the image of a build and one of another service differ.
    Shadow(ShadowPair),
    /// The room that the data directory takes on the worker's machine.
    Disk {
        /// Whether it first removes what no build needs.
        clean: bool,
    },
}

/// A worker's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The rules.
    Rules(FoundRules),
    /// The steps.
    Steps(DryRun),
    /// The comparison.
    Explained(Explained),
    /// The image.
    Image(Box<ImageContents>),
    /// The difference of two images.
    Compared(Box<ImageDifference>),
    /// The room on the disk.
    Disk(DiskUse),
}

/// A repository's own rules at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRules {
    /// Full hash of the commit; `None` if there is none.
    pub commit: Option<String>,
    /// The rules file there, or why there is none.
    pub result: RulesFetchResult,
}

/// The dry run of a build: its steps, as far as they are known without executing any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// Full hash of the commit, if it is there.
    pub commit: Option<String>,
    /// The steps, in the order of the Dockerfile; platform after platform.
    pub steps: Vec<DryRunStep>,
    /// Warnings of the build.
    pub warnings: Vec<String>,
    /// Why it would fail, as far as that is known.
    pub failure: Option<Reason>,
}

/// A step that was not executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRunStep {
    /// Counts the steps of the build from 1.
    pub number: i64,
    /// The stage's name, with the platform where there are several.
    pub stage: String,
    /// The instruction on one line.
    pub instruction: String,
    /// First line in the Dockerfile, from 1.
    pub line: i64,
    /// Whether it would be executed.
    pub fate: StepForecast,
}

/// The forecast of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepForecast {
    /// Its layer is known, or nothing of the result needs it.
    Cached,
    /// It would be executed.
    #[serde(rename = "executed")]
    WillRun,
    /// That depends on files which are not known before: those of an executed step, or of another server.
    #[serde(rename = "open")]
    Unknown,
    /// It makes no layer, only settings of the image.
    #[serde(rename = "setting")]
    MetadataOnly,
}

/// A query that a worker has taken.
#[derive(Debug)]
pub struct WorkerQueryClaim {
    /// Its row.
    pub id: i64,
    /// A query about a commit or a build.
    pub query: WorkerQuery,
    /// How long somebody waits for the answer.
    pub patience: Duration,
}

/// Where a worker query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryState {
    /// Waits for a worker.
    Open,
    /// A worker looks for the answer.
    Taken,
    /// The answer is there.
    Answered,
}

impl QueryState {
    /// Returns the state's name, as it is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            QueryState::Open => "open",
            QueryState::Taken => "taken",
            QueryState::Answered => "answered",
        }
    }
}

impl Database {
    /// Asks the workers something; returns its row.
    pub async fn ask(&self, query: &WorkerQuery) -> Result<i64, Error> {
        let doing = "asking the workers";
        let mut transaction = self.begin().await?;
        // A client that hangs up removes nothing: abandoned queries go with the next one.
        let text = "DELETE FROM worker_queries WHERE asked_ms <= $1";
        let expired = transaction.now_ms - millis(TIMEOUT);
        sql(doing, text).bind(expired).run(transaction.on()).await?;
        let text = format!(
            "INSERT INTO worker_queries (query_json, state, asked_ms) VALUES ($1, {QUERY_OPEN}, $2) RETURNING id"
        );
        let row = sql(doing, text).bind(to_json(query)?).bind(transaction.now_ms).one(transaction.on()).await?;
        transaction.announce_work();
        let id = row.get("id")?;
        transaction.commit(doing).await?;
        Ok(id)
    }

    /// Gives a worker the oldest query that nobody has and that somebody waits for.
    pub async fn claim_worker_query(&self) -> Result<Option<WorkerQueryClaim>, Error> {
        let doing = "taking a worker query";
        let text = format!("SELECT id FROM worker_queries WHERE state = {QUERY_OPEN} LIMIT 1");
        if sql(doing, text).optional(self.read()).await?.is_none() {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        schema::confirm(transaction.on()).await?;
        let patience = millis(TIMEOUT);
        let text = "DELETE FROM worker_queries WHERE asked_ms <= $1";
        sql(doing, text).bind(transaction.now_ms - patience).run(transaction.on()).await?;
        let row = sql(
            doing,
            format!("UPDATE worker_queries SET state = {QUERY_TAKEN} WHERE id = (SELECT id FROM worker_queries WHERE state = {QUERY_OPEN} \
             ORDER BY id LIMIT 1 /*+FOR UPDATE SKIP LOCKED*/) RETURNING id, query_json, asked_ms"),
        )
        .optional(transaction.on())
        .await?;
        let now = transaction.now_ms;
        transaction.commit(doing).await?;
        let Some(row) = row else { return Ok(None) };
        let left = (row.get::<i64>("asked_ms")? + patience - now).clamp(0, patience);
        let patience = Duration::from_millis(left.unsigned_abs());
        Ok(Some(WorkerQueryClaim { id: row.get("id")?, query: json(&row.get::<String>("query_json")?)?, patience }))
    }

    /// Writes an answer; nothing happens if nobody waits for it any more.
    pub async fn answer_worker_query(&self, claim: &WorkerQueryClaim, answer: &Answer) -> Result<(), Error> {
        sql(
            "answering a worker query",
            format!("UPDATE worker_queries SET state = {QUERY_ANSWERED}, answer_json = $2 WHERE id = $1"),
        )
        .bind(claim.id)
        .bind(to_json(answer)?)
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Returns the answer to a worker query, if there is one yet.
    pub async fn answer_to(&self, query: i64) -> Result<Option<Answer>, Error> {
        let text = format!("SELECT answer_json FROM worker_queries WHERE id = $1 AND state = {QUERY_ANSWERED}");
        let row = sql("looking for an answer", text).bind(query).optional(self.read()).await?;
        row.map(|row| json(&row.get::<String>("answer_json")?)).transpose()
    }

    /// Forgets a worker query: nobody waits for its answer any more.
    pub async fn forget_worker_query(&self, query: i64) -> Result<(), Error> {
        sql("forgetting a worker query", "DELETE FROM worker_queries WHERE id = $1")
            .bind(query)
            .run(self.write())
            .await?;
        Ok(())
    }
}
