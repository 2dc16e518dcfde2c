//! Claims: which build a worker gets, under which lease.

use crate::database::Database;
use crate::error::Error;
use crate::model::build::BUILD;
use crate::model::build::build;
use crate::model::build_state::BuildState;
use crate::model::claim::Claim;
use crate::outbox::commit_status;
use crate::queue::switches::QUEUE_PAUSED;
use crate::sql::clock::millis;
use crate::sql::columns::build_id;
use crate::sql::schema;
use crate::sql::statement::sql;
use crate::sql::states::{PREPARING, QUEUED};
use crate::sql::transaction::Transaction;
/// The result of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// The build is still this worker's.
    Held {
        /// Whether somebody wants it to end.
        cancel_requested: bool,
    },
    /// It is not.
    Lost,
}

/// Restricts a write to the attempt that holds the build.
pub(crate) const FENCE: &str = "id = $1 AND attempt = $2 AND worker IS NOT NULL";

/// How often a claim tries again after others took the build that it saw: each time one build further down the groups.
const MAX_ATTEMPTS: i64 = 8;

/// Selects the next build. Only the first build of each concurrency group is compared, so the length of the queue does not
/// matter: the greatest priority wins, then the repository with the fewest running builds, then the one that waited longest.
/// `$1` is the time, `$2` the number of builds of each group that are passed over. A serial group gives its first build or
/// none, and a group of builds that await approval gives nothing.
fn next() -> String {
    format!(
        "WITH RECURSIVE queued_groups (name) AS ( \
       SELECT MIN(concurrency_group) FROM builds WHERE state = {QUEUED} \
       UNION ALL \
       SELECT (SELECT MIN(b.concurrency_group) FROM builds b WHERE b.state = {QUEUED} AND b.concurrency_group > g.name) \
       FROM queued_groups g WHERE g.name IS NOT NULL \
     ), heads (id) AS ( \
       SELECT (SELECT b.id FROM builds b WHERE b.state = {QUEUED} AND b.concurrency_group = g.name \
               AND (b.is_serial OR b.not_before_ms <= $1) ORDER BY b.priority DESC, b.id LIMIT 1 OFFSET $2) \
       FROM queued_groups g WHERE g.name IS NOT NULL \
     ) \
     SELECT q.id FROM heads h JOIN builds q ON q.id = h.id LEFT JOIN fair_share f ON f.repository = q.repository \
     WHERE NOT EXISTS (SELECT 1 FROM switches WHERE name = '{QUEUE_PAUSED}' AND is_on) \
     AND q.state = {QUEUED} AND NOT q.awaits_approval AND q.not_before_ms <= $1 AND (NOT q.is_serial OR $2 = 0 AND NOT EXISTS \
       (SELECT 1 FROM builds r WHERE r.concurrency_group = q.concurrency_group AND r.worker IS NOT NULL AND r.is_serial)) \
     ORDER BY q.priority DESC, (SELECT COUNT(*) FROM builds r WHERE r.worker IS NOT NULL AND r.repository = q.repository), \
     COALESCE(f.last_started_ms, 0), q.id LIMIT 1"
    )
}

impl Database {
    /// Gives `worker` the next build; `None` if there is none, the queue is paused, or the worker is drained.
    pub async fn claim(&self, worker: &str) -> Result<Option<Claim>, Error> {
        for attempt in 0..MAX_ATTEMPTS {
            if (attempt > 0 || self.store.is_sqlite()) && !self.has_ready_build().await? {
                return Ok(None);
            }
            if attempt == 0 && self.is_drained(worker).await? {
                return Ok(None);
            }
            match self.claim_at(worker, attempt).await {
                // Another worker began a build of the same serial concurrency group in this moment.
                Err(Error::Conflict) | Ok(None) => {}
                claimed => return claimed,
            }
        }
        Ok(None)
    }

    /// Tells whether a build could be claimed. An empty queue is found without the write lock, so idle workers disturb nobody.
    pub(crate) async fn has_ready_build(&self) -> Result<bool, Error> {
        let now = self.now_ms().await?;
        Ok(sql("looking for a build", next()).bind(now).bind(0).optional(self.read()).await?.is_some())
    }

    async fn claim_at(&self, worker: &str, offset: i64) -> Result<Option<Claim>, Error> {
        let mut transaction = self.begin().await?;
        schema::confirm(transaction.on()).await?;
        let next = format!("{} /*+FOR UPDATE OF q SKIP LOCKED*/", next());
        let row =
            sql("claiming a build", next).bind(transaction.now_ms).bind(offset).optional(transaction.on()).await?;
        let Some(row) = row else { return Ok(None) };
        let id = build_id(&row, "id")?;
        let text = format!(
            "UPDATE builds SET state = {PREPARING}, attempt = attempt + 1, worker = $2, lease_until_ms = $3, \
             started_ms = COALESCE(started_ms, $4), version = version + 1 WHERE id = $1 AND state = {QUEUED} RETURNING {BUILD}"
        );
        let row = sql("claiming a build", text)
            .bind(id.as_str())
            .bind(worker)
            .bind(transaction.now_ms + millis(self.settings.lease))
            .bind(transaction.now_ms)
            .one(transaction.on())
            .await
            .map_err(Error::or_conflict)?;
        let build = build(&row)?;
        note_start(&mut transaction, &build.request.repository).await?;
        commit_status::write(&mut transaction, &build.id, BuildState::Preparing, "building").await?;
        transaction.commit("claiming a build").await?;
        let attempt = build.attempt;
        Ok(Some(Claim { build, attempt }))
    }

    /// Renews the lease.
    pub async fn heartbeat(&self, claim: &Claim) -> Result<Lease, Error> {
        let now = self.now_ms().await?;
        let text = format!(
            "UPDATE builds SET lease_until_ms = $3 WHERE {FENCE} AND lease_until_ms > $4 RETURNING cancel_requested"
        );
        let row = sql("renewing a lease", text)
            .bind(claim.build.id.as_str())
            .bind(claim.attempt)
            .bind(now + millis(self.settings.lease))
            .bind(now)
            .optional(self.write())
            .await?;
        Ok(match row {
            Some(row) => Lease::Held { cancel_requested: row.get("cancel_requested")? },
            None => Lease::Lost,
        })
    }

    /// Returns the workers that have builds.
    pub async fn lease_holders(&self) -> Result<Vec<String>, Error> {
        let text = "SELECT DISTINCT worker FROM builds WHERE worker IS NOT NULL ORDER BY worker";
        sql("reading the workers", text).all(self.read()).await?.iter().map(|row| row.get("worker")).collect()
    }
}

async fn note_start(transaction: &mut Transaction, repository: &str) -> Result<(), Error> {
    sql(
        "claiming a build",
        "INSERT INTO fair_share (repository, last_started_ms) VALUES ($1, $2) \
         ON CONFLICT (repository) DO UPDATE SET last_started_ms = excluded.last_started_ms",
    )
    .bind(repository)
    .bind(transaction.now_ms)
    .run(transaction.on())
    .await?;
    Ok(())
}
