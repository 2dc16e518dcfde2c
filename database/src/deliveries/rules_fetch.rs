//! Lookups: a repository's own rules are read by a worker, at the pushed commit, before its builds are known.
//!
//! The service that accepts a push runs no git: it stores a lookup, a worker answers it, and the service turns the answer
//! into builds.

use crate::access::redaction::redact;
use crate::database::Database;
use crate::deliveries::push_order::Pushed;
use crate::error::Error;
use crate::model::build::Reason;
use crate::model::build_id::BuildId;
use crate::model::build_request::BuildRequest;
use crate::model::json::{json, to_json};
use crate::model::rules_fetch::NewLookup;
use crate::model::trigger::Trigger;
use crate::outbox::{commit_status, rules_status};
use crate::queue::enqueue::Origin;
use crate::reconcile::missed_push::not_built_yet;
use crate::sql::clock::millis;
use crate::sql::schema;
use crate::sql::statement::{Row, sql};
use crate::sql::states::{FETCH_ANSWERED, FETCH_CLAIMED, FETCH_EXPANDED, FETCH_OPEN};
use crate::sql::transaction::Transaction;
use serde::{Deserialize, Serialize};

/// A worker's lease on a lookup.
#[derive(Debug)]
pub struct LookupClaim {
    /// Its row.
    pub id: i64,
    /// The file and commit to read.
    pub lookup: NewLookup,
    /// Number of this attempt, from 1.
    pub attempt: i64,
}

/// The file that a worker found, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupResult {
    /// The file.
    Text(String),
    /// The commit has no such file.
    Missing,
    /// The commit or the file could not be read.
    Failed(Reason),
}

/// A lookup that waits to be turned into builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredLookup {
    /// Its row.
    pub id: i64,
    /// The file and commit that were asked for.
    pub lookup: NewLookup,
    /// The worker's result.
    pub result: LookupResult,
}

impl Database {
    /// Stores a lookup that no delivery asks for (a trigger by hand, a schedule); returns its row.
    pub async fn add_lookup(&self, lookup: &NewLookup) -> Result<i64, Error> {
        let mut transaction = self.begin().await?;
        let id = self.insert_lookup(&mut transaction, None, lookup).await?;
        transaction.commit("storing a lookup").await?;
        Ok(id)
    }

    pub(crate) async fn insert_lookup(
        &self,
        transaction: &mut Transaction,
        delivery: Option<i64>,
        lookup: &NewLookup,
    ) -> Result<i64, Error> {
        let row = sql(
            "storing a lookup",
            format!("INSERT INTO lookups (delivery_id, lookup_json, state) VALUES ($1, $2, {FETCH_OPEN}) RETURNING id"),
        )
        .bind(delivery)
        .bind(to_json(lookup)?)
        .one(transaction.on())
        .await?;
        transaction.announce_work();
        row.get("id")
    }

    /// Gives `worker` the oldest lookup that nobody has.
    pub async fn claim_lookup(&self, worker: &str) -> Result<Option<LookupClaim>, Error> {
        let doing = "claiming a lookup";
        if !self.has_open_lookup().await? {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        schema::confirm(transaction.on()).await?;
        let row = sql(
            doing,
            format!("UPDATE lookups SET state = {FETCH_CLAIMED}, attempt = attempt + 1, worker = $1, lease_until_ms = $2 WHERE id = \
             (SELECT id FROM lookups WHERE state = {FETCH_OPEN} ORDER BY id LIMIT 1 /*+FOR UPDATE SKIP LOCKED*/) \
             RETURNING id, lookup_json, attempt"),
        )
        .bind(worker)
        .bind(transaction.now_ms + millis(self.settings.lease))
        .optional(transaction.on())
        .await?;
        let Some(row) = row else { return Ok(None) };
        transaction.commit(doing).await?;
        Ok(Some(LookupClaim {
            id: row.get("id")?,
            lookup: json(&row.get::<String>("lookup_json")?)?,
            attempt: row.get("attempt")?,
        }))
    }

    /// Writes what the worker found.
    pub async fn finish_lookup(&self, claim: LookupClaim, result: &LookupResult) -> Result<(), Error> {
        let shown = match result {
            LookupResult::Failed(reason) => {
                let message = redact(&reason.message).into_owned();
                &LookupResult::Failed(Reason { message, ..reason.clone() })
            }
            other => other,
        };
        let written = sql(
            "answering a lookup",
            format!(
                "UPDATE lookups SET state = {FETCH_ANSWERED}, worker = NULL, lease_until_ms = NULL, answer_json = $3 \
             WHERE id = $1 AND attempt = $2 AND state = {FETCH_CLAIMED}"
            ),
        )
        .bind(claim.id)
        .bind(claim.attempt)
        .bind(to_json(shown)?)
        .run(self.write())
        .await?;
        if written == 0 { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Returns lookups that were answered and are no builds yet, oldest first.
    pub async fn answered_lookups(&self, limit: u32) -> Result<Vec<AnsweredLookup>, Error> {
        let rows = sql(
            "reading lookups",
            format!(
                "SELECT id, lookup_json, answer_json FROM lookups WHERE state = {FETCH_ANSWERED} ORDER BY id LIMIT $1"
            ),
        )
        .bind(i64::from(limit))
        .all(self.read())
        .await?;
        let read = |row: &Row| {
            let (lookup, result) =
                (json(&row.get::<String>("lookup_json")?)?, json(&row.get::<String>("answer_json")?)?);
            Ok(AnsweredLookup { id: row.get("id")?, lookup, result })
        };
        rows.iter().map(read).collect()
    }

    /// Stores the builds that follow from an answered lookup, at the place of its push; `None` if another did it before.
    ///
    /// If nothing is built, `ignored` and `explain` tell why, as with a delivery.
    pub async fn expand_lookup(
        &self,
        id: i64,
        requests: &[BuildRequest],
        ignored: Option<&str>,
        explain: &[String],
    ) -> Result<Option<Vec<BuildId>>, Error> {
        let doing = "expanding a lookup";
        let mut transaction = self.begin_accepting().await?;
        let row = sql(
            doing,
            format!("UPDATE lookups SET state = {FETCH_EXPANDED} WHERE id = $1 AND state = {FETCH_ANSWERED} RETURNING delivery_id, lookup_json"),
        )
        .bind(id)
        .optional(transaction.on())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let delivery: Option<i64> = row.get("delivery_id")?;
        sql(doing, "UPDATE deliveries SET ignored = $2, explain_json = $3 WHERE id = $1")
            .bind(delivery)
            .bind(ignored.map(str::to_owned))
            .bind(to_json(&explain)?)
            .run(transaction.on())
            .await?;
        if ignored == Some("rules_invalid") {
            let lookup: NewLookup = json(&row.get::<String>("lookup_json")?)?;
            // A pull request is about its own commit, though the rules are those of another branch.
            let pull = lookup.trigger.pull_request().map(|pull| pull.commit.clone());
            if let Some(commit) = pull.or(lookup.commit) {
                let what = explain.first().map_or("its own rules cannot be used", String::as_str);
                rules_status::write_commit_status(&mut transaction, &lookup.repository, &commit, what).await?;
            }
        }
        let origin = Origin { delivery, push: push_of(&mut transaction, delivery).await? };
        let requests = match requests.first().map(|request| &request.trigger) {
            Some(Trigger::Reconcile { .. }) => not_built_yet(&mut transaction, requests.to_vec()).await?,
            _ => requests.to_vec(),
        };
        let builds = self.insert_builds(&mut transaction, &origin, &requests).await?;
        commit_status::write_queued(&mut transaction, &builds).await?;
        transaction.commit(doing).await?;
        Ok(Some(builds))
    }

    pub(crate) async fn has_open_lookup(&self) -> Result<bool, Error> {
        let text = format!("SELECT id FROM lookups WHERE state = {FETCH_OPEN} LIMIT 1");
        Ok(sql("looking for a lookup", text).optional(self.read()).await?.is_some())
    }

    /// Takes lookups back whose worker has not answered in time.
    pub(crate) async fn expire_lookups(&self, now_ms: i64) -> Result<(), Error> {
        self.take_lookups_back("lease_until_ms <= CAST($3 AS BIGINT)", &now_ms.to_string()).await
    }

    /// Takes the lookups of a worker back that is known to be dead.
    pub(crate) async fn release_lookups(&self, worker: &str) -> Result<(), Error> {
        self.take_lookups_back("worker = $3", worker).await
    }

    /// Opens lookups again; one whose worker was lost too often is answered with that.
    async fn take_lookups_back(&self, which: &str, value: &str) -> Result<(), Error> {
        let reason = Reason {
            code: "crashed_worker".to_owned(),
            message: "the worker was lost while it read the rules".to_owned(),
        };
        let text = format!(
            "UPDATE lookups SET worker = NULL, lease_until_ms = NULL, \
             state = CASE WHEN attempt < $1 THEN {FETCH_OPEN} ELSE {FETCH_ANSWERED} END, \
             answer_json = CASE WHEN attempt < $1 THEN NULL ELSE $2 END WHERE state = {FETCH_CLAIMED} AND {which}"
        );
        let doing = "taking lookups back";
        let held =
            format!("SELECT id FROM lookups WHERE state = {FETCH_CLAIMED} AND {} LIMIT 1", which.replace("$3", "$1"));
        if sql(doing, held).bind(value).optional(self.read()).await?.is_none() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        sql(doing, text)
            .bind(self.settings.attempts)
            .bind(to_json(&LookupResult::Failed(reason))?)
            .bind(value)
            .run(transaction.on())
            .await?;
        transaction.announce_work();
        transaction.commit(doing).await
    }
}

/// Returns the push of a delivery.
async fn push_of(transaction: &mut Transaction, delivery: Option<i64>) -> Result<Option<Pushed>, Error> {
    let row = sql("reading a push", "SELECT id, git_ref, sequence FROM pushes WHERE delivery_id = $1")
        .bind(delivery)
        .optional(transaction.on())
        .await?;
    row.map(|row| Ok(Pushed { id: row.get("id")?, git_ref: row.get("git_ref")?, sequence: row.get("sequence")? }))
        .transpose()
}
