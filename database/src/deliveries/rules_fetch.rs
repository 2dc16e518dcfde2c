//! RulesFetches: a repository's own rules are read by a worker, at the pushed commit, before its builds are known.
//!
//! The service that accepts a push runs no git: it stores a rules fetch, a worker answers it, and the service turns the answer
//! into builds.

use crate::access::redaction::redact;
use crate::database::Database;
use crate::deliveries::push_order::Pushed;
use crate::error::Error;
use crate::model::build::Reason;
use crate::model::build_id::BuildId;
use crate::model::build_request::BuildRequest;
use crate::model::json::{json, to_json};
use crate::model::rules_fetch::NewRulesFetch;
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

/// A worker's lease on a rules fetch.
#[derive(Debug)]
pub struct RulesFetchClaim {
    /// Its row.
    pub id: i64,
    /// The file and commit to read.
    pub rules_fetch: NewRulesFetch,
    /// Number of this attempt, from 1.
    pub attempt: i64,
}

/// The file that a worker found, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulesFetchResult {
    /// The file.
    Text(String),
    /// The commit has no such file.
    Missing,
    /// The commit or the file could not be read.
    Failed(Reason),
}

/// A rules fetch that waits to be turned into builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredRulesFetch {
    /// Its row.
    pub id: i64,
    /// The file and commit that were asked for.
    pub rules_fetch: NewRulesFetch,
    /// The worker's result.
    pub result: RulesFetchResult,
}

impl Database {
    /// Stores a rules fetch that no delivery asks for (a trigger by hand, a schedule); returns its row.
    pub async fn add_rules_fetch(&self, rules_fetch: &NewRulesFetch) -> Result<i64, Error> {
        let mut transaction = self.begin().await?;
        let id = self.insert_rules_fetch(&mut transaction, None, rules_fetch).await?;
        transaction.commit("storing a rules fetch").await?;
        Ok(id)
    }

    pub(crate) async fn insert_rules_fetch(
        &self,
        transaction: &mut Transaction,
        delivery: Option<i64>,
        rules_fetch: &NewRulesFetch,
    ) -> Result<i64, Error> {
        let row = sql(
            "storing a rules fetch",
            format!("INSERT INTO rules_fetches (delivery_id, rules_fetch_json, state) VALUES ($1, $2, {FETCH_OPEN}) RETURNING id"),
        )
        .bind(delivery)
        .bind(to_json(rules_fetch)?)
        .one(transaction.on())
        .await?;
        transaction.announce_work();
        row.get("id")
    }

    /// Gives `worker` the oldest rules fetch that nobody has.
    pub async fn claim_rules_fetch(&self, worker: &str) -> Result<Option<RulesFetchClaim>, Error> {
        let doing = "claiming a rules fetch";
        if !self.has_open_rules_fetch().await? {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        schema::confirm(transaction.on()).await?;
        let row = sql(
            doing,
            format!("UPDATE rules_fetches SET state = {FETCH_CLAIMED}, attempt = attempt + 1, worker = $1, lease_until_ms = $2 WHERE id = \
             (SELECT id FROM rules_fetches WHERE state = {FETCH_OPEN} ORDER BY id LIMIT 1 /*+FOR UPDATE SKIP LOCKED*/) \
             RETURNING id, rules_fetch_json, attempt"),
        )
        .bind(worker)
        .bind(transaction.now_ms + millis(self.settings.lease))
        .optional(transaction.on())
        .await?;
        let Some(row) = row else { return Ok(None) };
        transaction.commit(doing).await?;
        Ok(Some(RulesFetchClaim {
            id: row.get("id")?,
            rules_fetch: json(&row.get::<String>("rules_fetch_json")?)?,
            attempt: row.get("attempt")?,
        }))
    }

    /// Writes what the worker found.
    pub async fn finish_rules_fetch(&self, claim: RulesFetchClaim, result: &RulesFetchResult) -> Result<(), Error> {
        let shown = match result {
            RulesFetchResult::Failed(reason) => {
                let message = redact(&reason.message).into_owned();
                &RulesFetchResult::Failed(Reason { message, ..reason.clone() })
            }
            other => other,
        };
        let written = sql(
            "answering a rules fetch",
            format!(
                "UPDATE rules_fetches SET state = {FETCH_ANSWERED}, worker = NULL, lease_until_ms = NULL, answer_json = $3 \
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

    /// Returns rules fetches that were answered and are no builds yet, oldest first.
    pub async fn answered_rules_fetches(&self, limit: u32) -> Result<Vec<AnsweredRulesFetch>, Error> {
        let rows = sql(
            "reading rules fetches",
            format!(
                "SELECT id, rules_fetch_json, answer_json FROM rules_fetches WHERE state = {FETCH_ANSWERED} ORDER BY id LIMIT $1"
            ),
        )
        .bind(i64::from(limit))
        .all(self.read())
        .await?;
        let read = |row: &Row| {
            let (rules_fetch, result) =
                (json(&row.get::<String>("rules_fetch_json")?)?, json(&row.get::<String>("answer_json")?)?);
            Ok(AnsweredRulesFetch { id: row.get("id")?, rules_fetch, result })
        };
        rows.iter().map(read).collect()
    }

    /// Stores the builds that follow from an answered rules fetch, at the place of its push; `None` if another did it before.
    ///
    /// If nothing is built, `ignored` and `explain` tell why, as with a delivery.
    pub async fn expand_rules_fetch(
        &self,
        id: i64,
        requests: &[BuildRequest],
        ignored: Option<&str>,
        explain: &[String],
    ) -> Result<Option<Vec<BuildId>>, Error> {
        let doing = "expanding a rules fetch";
        let mut transaction = self.begin_accepting().await?;
        let row = sql(
            doing,
            format!("UPDATE rules_fetches SET state = {FETCH_EXPANDED} WHERE id = $1 AND state = {FETCH_ANSWERED} RETURNING delivery_id, rules_fetch_json"),
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
            let rules_fetch: NewRulesFetch = json(&row.get::<String>("rules_fetch_json")?)?;
            // A pull request is about its own commit, though the rules are those of another branch.
            let pull = rules_fetch.trigger.pull_request().map(|pull| pull.commit.clone());
            if let Some(commit) = pull.or(rules_fetch.commit) {
                let what = explain.first().map_or("its own rules cannot be used", String::as_str);
                rules_status::write_commit_status(&mut transaction, &rules_fetch.repository, &commit, what).await?;
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

    pub(crate) async fn has_open_rules_fetch(&self) -> Result<bool, Error> {
        let text = format!("SELECT id FROM rules_fetches WHERE state = {FETCH_OPEN} LIMIT 1");
        Ok(sql("looking for a rules fetch", text).optional(self.read()).await?.is_some())
    }

    /// Takes rules fetches back whose worker has not answered in time.
    pub(crate) async fn expire_rules_fetches(&self, now_ms: i64) -> Result<(), Error> {
        self.take_rules_fetches_back("lease_until_ms <= CAST($3 AS BIGINT)", &now_ms.to_string()).await
    }

    /// Takes the rules fetches of a worker back that is known to be dead.
    pub(crate) async fn release_rules_fetches(&self, worker: &str) -> Result<(), Error> {
        self.take_rules_fetches_back("worker = $3", worker).await
    }

    /// Opens rules fetches again; one whose worker was lost too often is answered with that.
    async fn take_rules_fetches_back(&self, which: &str, value: &str) -> Result<(), Error> {
        let reason = Reason {
            code: "crashed_worker".to_owned(),
            message: "the worker was lost while it read the rules".to_owned(),
        };
        let text = format!(
            "UPDATE rules_fetches SET worker = NULL, lease_until_ms = NULL, \
             state = CASE WHEN attempt < $1 THEN {FETCH_OPEN} ELSE {FETCH_ANSWERED} END, \
             answer_json = CASE WHEN attempt < $1 THEN NULL ELSE $2 END WHERE state = {FETCH_CLAIMED} AND {which}"
        );
        let doing = "taking rules fetches back";
        let held = format!(
            "SELECT id FROM rules_fetches WHERE state = {FETCH_CLAIMED} AND {} LIMIT 1",
            which.replace("$3", "$1")
        );
        if sql(doing, held).bind(value).optional(self.read()).await?.is_none() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        sql(doing, text)
            .bind(self.settings.attempts)
            .bind(to_json(&RulesFetchResult::Failed(reason))?)
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
