//! Cancels builds: queued ones end at once, running ones are ended by their workers.

use crate::database::Database;
use crate::error::Error;
use crate::model::build::{Reason, build_state, ids};
use crate::model::build_id::BuildId;
use crate::model::build_state::BuildState;
use crate::model::json::{json, to_json};
use crate::model::ref_name::RefName;
use crate::model::rules_fetch::NewRulesFetch;
use crate::outbox::{commit_status, pull_comment};
use crate::queue::finish::cancelled;
use crate::queue::group;
use crate::sql::statement::sql;
use crate::sql::states::{CANCELLED, FETCH_ANSWERED, FETCH_CLAIMED, FETCH_EXPANDED, FETCH_OPEN, QUEUED, SUPERSEDED};
use crate::sql::transaction::Transaction;
use crate::tags::pull_tag;
/// The result of cancelling a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// It was queued and has ended now.
    Cancelled,
    /// Its worker will end it.
    Requested,
    /// It had ended already, like this.
    AlreadyFinished(BuildState),
    /// There is no such build.
    NotFound,
}

impl Database {
    /// Ends a queued build, or asks the worker of a running one to end it.
    pub async fn cancel(&self, id: &BuildId) -> Result<Cancel, Error> {
        let mut transaction = self.begin().await?;
        let answer = cancel_one(&mut transaction, id).await?;
        transaction.commit("cancelling a build").await?;
        Ok(answer)
    }
}

/// The reason of builds that ended because their pull request was closed.
const CLOSED: &str = "its pull request was closed";

/// Ends the queued builds of a pull request that was closed, and the rules fetches that would become more; what runs goes on.
pub(crate) async fn close(transaction: &mut Transaction, of: RefName<'_>) -> Result<(), Error> {
    let doing = "closing a pull request";
    let text = format!(
        "SELECT id, rules_fetch_json FROM rules_fetches WHERE state IN ({FETCH_OPEN}, {FETCH_CLAIMED}, {FETCH_ANSWERED}) \
                AND delivery_id IN (SELECT id FROM deliveries WHERE repository = $1) ORDER BY id"
    );
    for row in sql(doing, text).bind(of.repository).all(transaction.on()).await? {
        let rules_fetch: NewRulesFetch = json(&row.get::<String>("rules_fetch_json")?)?;
        let git_ref = rules_fetch.trigger.pull_request().map_or(&rules_fetch.git_ref, |pull| &pull.git_ref);
        if git_ref == of.git_ref {
            let text = format!(
                "UPDATE rules_fetches SET state = {FETCH_EXPANDED}, worker = NULL, lease_until_ms = NULL WHERE id = $1"
            );
            sql(doing, text).bind(row.get::<i64>("id")?).run(transaction.on()).await?;
        }
    }
    pull_tag::close(transaction, of).await?;
    pull_comment::close(transaction, of).await?;
    let reason = Reason { code: "superseded".to_owned(), message: CLOSED.to_owned() };
    let now = transaction.now_ms;
    let rows = sql(
        doing,
        format!(
            "UPDATE builds SET state = {SUPERSEDED}, reason_json = $1, finished_ms = $2, version = version + 1 \
         WHERE repository = $3 AND git_ref = $4 AND state = {QUEUED} RETURNING id"
        ),
    )
    .bind(to_json(&reason)?)
    .bind(now)
    .bind(of.repository)
    .bind(of.git_ref)
    .all(transaction.on())
    .await?;
    for id in &ids(&rows)? {
        commit_status::write(transaction, id, BuildState::Superseded, CLOSED).await?;
    }
    Ok(())
}

/// Ends a queued build, or asks the worker of a running one to end it; with a group its targets end.
pub(crate) async fn cancel_one(transaction: &mut Transaction, id: &BuildId) -> Result<Cancel, Error> {
    let cancelled = cancel_alone(transaction, id).await?;
    if cancelled == Cancel::Requested {
        for target in group::open_targets(transaction, id).await? {
            cancel_alone(transaction, &target).await?;
        }
    }
    Ok(cancelled)
}

async fn cancel_alone(transaction: &mut Transaction, id: &BuildId) -> Result<Cancel, Error> {
    let doing = "cancelling a build";
    let row = sql(doing, "SELECT state FROM builds WHERE id = $1 /*+FOR UPDATE*/")
        .bind(id.as_str())
        .optional(transaction.on())
        .await?;
    let Some(row) = row else { return Ok(Cancel::NotFound) };
    let now = transaction.now_ms;
    match build_state(&row, "state")? {
        BuildState::Queued => {
            sql(
                doing,
                format!("UPDATE builds SET state = {CANCELLED}, reason_json = $2, finished_ms = $3, cancel_requested = TRUE, \
                 version = version + 1 WHERE id = $1"),
            )
            .bind(id.as_str())
            .bind(to_json(&cancelled())?)
            .bind(now)
            .run(transaction.on())
            .await?;
            commit_status::write(transaction, id, BuildState::Cancelled, "cancelled").await?;
            Ok(Cancel::Cancelled)
        }
        state if state.has_ended() => Ok(Cancel::AlreadyFinished(state)),
        _ => {
            sql(doing, "UPDATE builds SET cancel_requested = TRUE, version = version + 1 WHERE id = $1")
                .bind(id.as_str())
                .run(transaction.on())
                .await?;
            transaction.announce_build(id.as_str());
            Ok(Cancel::Requested)
        }
    }
}
