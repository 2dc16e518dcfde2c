//! The wish to end a build.

use crate::finish::cancelled;
use crate::rows::{ids, state, to_json};
use crate::sql::{Transaction, sql};
use crate::{BuildId, BuildState, Database, Error, Reason, outbox};

/// What became of the wish to cancel a build.
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

impl Database {
    /// Ends the queued builds of a ref of which nobody wants one any more; those that run go on.
    pub async fn supersede(&self, (repository, git_ref): (&str, &str), why: &str) -> Result<Vec<BuildId>, Error> {
        let doing = "superseding builds";
        let mut transaction = self.begin().await?;
        let reason = Reason { code: "superseded".to_owned(), message: why.to_owned() };
        let now = transaction.now_ms;
        let rows = sql(
            doing,
            "UPDATE builds SET state = 'superseded', reason_json = $1, finished_ms = $2, version = version + 1 \
             WHERE repository = $3 AND git_ref = $4 AND state = 'queued' RETURNING id",
        )
        .bind(to_json(&reason)?)
        .bind(now)
        .bind(repository)
        .bind(git_ref)
        .all(transaction.on())
        .await?;
        let ended = ids(&rows)?;
        for id in &ended {
            outbox::write(&mut transaction, id, (BuildState::Superseded, why), now).await?;
        }
        transaction.commit(doing).await?;
        Ok(ended)
    }
}

/// Ends a queued build, or asks the worker of a running one to end it.
pub async fn cancel_one(transaction: &mut Transaction, id: &BuildId) -> Result<Cancel, Error> {
    let doing = "cancelling a build";
    let row = sql(doing, "SELECT state FROM builds WHERE id = $1 /*+FOR UPDATE*/")
        .bind(id.as_str())
        .optional(transaction.on())
        .await?;
    let Some(row) = row else { return Ok(Cancel::NotFound) };
    let now = transaction.now_ms;
    match state(&row, 0)? {
        BuildState::Queued => {
            sql(
                doing,
                "UPDATE builds SET state = 'cancelled', reason_json = $2, finished_ms = $3, cancel_requested = TRUE, \
                 version = version + 1 WHERE id = $1",
            )
            .bind(id.as_str())
            .bind(to_json(&cancelled())?)
            .bind(now)
            .run(transaction.on())
            .await?;
            outbox::write(transaction, id, (BuildState::Cancelled, "cancelled"), now).await?;
            Ok(Cancel::Cancelled)
        }
        state if state.has_ended() => Ok(Cancel::AlreadyFinished(state)),
        _ => {
            sql(doing, "UPDATE builds SET cancel_requested = TRUE, version = version + 1 WHERE id = $1")
                .bind(id.as_str())
                .run(transaction.on())
                .await?;
            Ok(Cancel::Requested)
        }
    }
}
