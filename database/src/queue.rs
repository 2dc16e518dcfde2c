//! The queue: claims under leases, fenced writes, ends.

use crate::clock::millis;
use crate::rows::{BUILD, build, to_json};
use crate::{BuildId, BuildState, Claim, Database, Error, Outcome, Reason, Step, outbox};
use sqlx::{AssertSqlSafe, Row, Sqlite, Transaction};

/// What a heartbeat found.
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

/// Restricts a write to the attempt that holds the build.
const FENCE: &str = "id = $1 AND attempt = $2 AND worker IS NOT NULL";

impl Database {
    /// Gives `worker` the next build: of the repositories with the fewest running builds, the oldest.
    pub async fn claim(&self, worker: &str) -> Result<Option<Claim>, Error> {
        let doing = "claiming a build";
        // An empty queue is found without the write lock, so idle workers disturb nobody.
        let waiting = sqlx::query("SELECT 1 FROM builds WHERE state = 'queued' AND not_before_ms <= $1 LIMIT 1")
            .bind(self.clock.now_ms())
            .fetch_optional(&self.reader)
            .await
            .map_err(Error::unavailable(doing))?;
        if waiting.is_none() {
            return Ok(None);
        }
        let mut transaction = self.write().await?;
        let now = self.clock.now_ms();
        let row = sqlx::query(
            "SELECT q.id FROM builds q WHERE q.state = 'queued' AND q.not_before_ms <= $1 ORDER BY \
             (SELECT COUNT(*) FROM builds r WHERE r.worker IS NOT NULL AND r.repository = q.repository), q.id LIMIT 1",
        )
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(Error::unavailable(doing))?;
        let Some(row) = row else { return Ok(None) };
        let id: String = row.try_get(0).map_err(Error::unavailable(doing))?;
        let sql = format!(
            "UPDATE builds SET state = 'preparing', attempt = attempt + 1, worker = $2, lease_until_ms = $3, \
             started_ms = COALESCE(started_ms, $4), version = version + 1 WHERE id = $1 RETURNING {BUILD}"
        );
        let claimed = sqlx::query(AssertSqlSafe(sql))
            .bind(&id)
            .bind(worker)
            .bind(now + millis(self.settings.lease))
            .bind(now)
            .fetch_one(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        let build = build(&claimed)?;
        outbox::write(&mut transaction, &build.id, (BuildState::Preparing, "building"), now).await?;
        transaction.commit().await.map_err(Error::unavailable(doing))?;
        let attempt = build.attempt;
        Ok(Some(Claim { build, attempt }))
    }

    /// Renews the lease.
    pub async fn heartbeat(&self, claim: &Claim) -> Result<Lease, Error> {
        let sql = format!(
            "UPDATE builds SET lease_until_ms = $3 WHERE {FENCE} AND lease_until_ms > $4 RETURNING cancel_requested"
        );
        let now = self.clock.now_ms();
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(claim.build.id.as_str())
            .bind(claim.attempt)
            .bind(now + millis(self.settings.lease))
            .bind(now)
            .fetch_optional(&self.writer)
            .await
            .map_err(Error::unavailable("renewing a lease"))?;
        Ok(match row {
            Some(row) => {
                Lease::Held { cancel_requested: row.try_get(0).map_err(Error::unavailable("renewing a lease"))? }
            }
            None => Lease::Lost,
        })
    }

    /// Writes where the build is.
    pub async fn set_state(&self, claim: &Claim, state: BuildState) -> Result<(), Error> {
        let mut transaction = self.write().await?;
        self.fenced(&mut transaction, claim, "state = $3", &[state.as_str()]).await?;
        transaction.commit().await.map_err(Error::unavailable("writing a state"))
    }

    /// Writes which commit a ref turned out to be.
    pub async fn set_commit(&self, claim: &Claim, commit: &str, message: &str) -> Result<(), Error> {
        let mut transaction = self.write().await?;
        self.fenced(&mut transaction, claim, "commit_id = $3, commit_message = $4", &[commit, message]).await?;
        if claim.build.commit.is_none() {
            let now = self.clock.now_ms();
            outbox::write(&mut transaction, &claim.build.id, (BuildState::Preparing, "building"), now).await?;
        }
        transaction.commit().await.map_err(Error::unavailable("writing a commit"))
    }

    /// Writes steps, each in place of an earlier one with its number.
    pub async fn put_steps(&self, claim: &Claim, steps: &[Step]) -> Result<(), Error> {
        let mut transaction = self.write().await?;
        self.fenced(&mut transaction, claim, "log_bytes = log_bytes", &[]).await?;
        for step in steps {
            sqlx::query(
                "INSERT INTO steps (build_id, number, step_json) VALUES ($1, $2, $3) \
                 ON CONFLICT (build_id, number) DO UPDATE SET step_json = excluded.step_json",
            )
            .bind(claim.build.id.as_str())
            .bind(step.number)
            .bind(to_json(step)?)
            .execute(&mut *transaction)
            .await
            .map_err(Error::unavailable("writing steps"))?;
        }
        transaction.commit().await.map_err(Error::unavailable("writing steps"))
    }

    /// Adds to the build's log; what goes beyond the limit is left out, and a mark says so.
    pub async fn append_log(&self, claim: &Claim, step: Option<i64>, text: &[u8]) -> Result<(), Error> {
        let doing = "writing a log";
        let mut transaction = self.write().await?;
        let sql = format!("SELECT log_bytes FROM builds WHERE {FENCE}");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(claim.build.id.as_str())
            .bind(claim.attempt)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        let start: i64 = row.ok_or(Error::LeaseLost)?.try_get(0).map_err(Error::unavailable(doing))?;
        let room = usize::try_from(self.settings.log_limit - start).unwrap_or(0);
        if room == 0 || text.is_empty() {
            return Ok(());
        }
        let mut kept = text[..text.len().min(room)].to_vec();
        let mut next = start + kept.len() as i64;
        if kept.len() < text.len() {
            kept.extend_from_slice(b"\n[log truncated]\n");
            next = start.max(self.settings.log_limit) + kept.len() as i64;
        }
        let length = kept.len() as i64;
        sqlx::query("INSERT INTO logs (build_id, start, length, step, content, at_ms) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(claim.build.id.as_str())
            .bind(start)
            .bind(length)
            .bind(step)
            .bind(kept)
            .bind(self.clock.now_ms())
            .execute(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        sqlx::query("UPDATE builds SET log_bytes = $2, version = version + 1 WHERE id = $1")
            .bind(claim.build.id.as_str())
            .bind(next)
            .execute(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        transaction.commit().await.map_err(Error::unavailable(doing))
    }

    /// Ends the attempt: the build ends, or goes back to the queue if the service was to blame and tries are left.
    pub async fn finish(&self, claim: Claim, outcome: Outcome) -> Result<BuildState, Error> {
        let attempt = claim.attempt;
        let (state, reason, image) = match outcome {
            Outcome::Succeeded(image) => (BuildState::Succeeded, None, Some(image)),
            Outcome::Superseded(image) => (BuildState::Superseded, None, Some(image)),
            Outcome::Failed(reason) => (BuildState::Failed, Some(reason), None),
            Outcome::TimedOut(reason) => (BuildState::TimedOut, Some(reason), None),
            Outcome::Cancelled => (BuildState::Cancelled, Some(cancelled()), None),
            Outcome::Retry(reason) if attempt < self.settings.attempts => (BuildState::Queued, Some(reason), None),
            Outcome::Retry(reason) => (BuildState::Errored, Some(reason), None),
        };
        let mut transaction = self.write().await?;
        let now = self.clock.now_ms();
        let description = reason
            .as_ref()
            .map(|reason| reason.message.lines().next().unwrap_or_default().to_owned())
            .or_else(|| image.as_ref().map(|image| image.digest.clone()))
            .unwrap_or_default();
        let finished = state.has_ended().then_some(now);
        let sql = format!(
            "UPDATE builds SET state = $3, reason_json = $4, image_json = $5, finished_ms = $6, worker = NULL, \
             lease_until_ms = NULL, not_before_ms = $7, version = version + 1 WHERE {FENCE}"
        );
        let written = sqlx::query(AssertSqlSafe(sql))
            .bind(claim.build.id.as_str())
            .bind(attempt)
            .bind(state.as_str())
            .bind(reason.as_ref().map(to_json).transpose()?)
            .bind(image.as_ref().map(to_json).transpose()?)
            .bind(finished)
            .bind(now + 1000 * attempt * attempt)
            .execute(&mut *transaction)
            .await
            .map_err(Error::unavailable("ending a build"))?;
        if written.rows_affected() == 0 {
            return Err(Error::LeaseLost);
        }
        outbox::write(&mut transaction, &claim.build.id, (state, &description), now).await?;
        transaction.commit().await.map_err(Error::unavailable("ending a build"))?;
        Ok(state)
    }

    /// Takes builds back whose worker has not been heard of for too long.
    pub async fn expire_leases(&self) -> Result<Vec<BuildId>, Error> {
        let now = self.clock.now_ms();
        self.take_back("worker IS NOT NULL AND lease_until_ms <= CAST($1 AS INTEGER)", &now.to_string()).await
    }

    /// Takes the builds of a worker back that is known to be dead.
    pub async fn release(&self, worker: &str) -> Result<Vec<BuildId>, Error> {
        self.take_back("worker = $1", worker).await
    }

    /// Returns the workers that have builds.
    pub async fn lease_holders(&self) -> Result<Vec<String>, Error> {
        let doing = "reading the workers";
        let rows = sqlx::query("SELECT DISTINCT worker FROM builds WHERE worker IS NOT NULL ORDER BY worker")
            .fetch_all(&self.reader)
            .await
            .map_err(Error::unavailable(doing))?;
        rows.iter().map(|row| row.try_get(0).map_err(Error::unavailable(doing))).collect()
    }

    async fn take_back(&self, which: &str, value: &str) -> Result<Vec<BuildId>, Error> {
        let doing = "taking builds back";
        let sql = format!("SELECT id, attempt, cancel_requested FROM builds WHERE {which} ORDER BY id");
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(value.to_owned());
        if query.fetch_optional(&self.reader).await.map_err(Error::unavailable(doing))?.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.write().await?;
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(value.to_owned())
            .fetch_all(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        let mut taken = Vec::new();
        for row in rows {
            let id: String = row.try_get(0).map_err(Error::unavailable(doing))?;
            let attempt: i64 = row.try_get(1).map_err(Error::unavailable(doing))?;
            let cancelled: bool = row.try_get(2).map_err(Error::unavailable(doing))?;
            let id = BuildId::parse(&id).ok_or(Error::Damaged("the id of a build"))?;
            self.take_one_back(&mut transaction, &id, (attempt, cancelled)).await?;
            taken.push(id);
        }
        transaction.commit().await.map_err(Error::unavailable(doing))?;
        Ok(taken)
    }

    async fn take_one_back(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        id: &BuildId,
        (attempt, was_cancelled): (i64, bool),
    ) -> Result<(), Error> {
        let now = self.clock.now_ms();
        let (state, reason) = if was_cancelled {
            (BuildState::Cancelled, Some(cancelled()))
        } else if attempt < self.settings.attempts {
            (BuildState::Queued, None)
        } else {
            let message = format!("the worker was lost {attempt} times");
            (BuildState::Errored, Some(Reason { code: "crashed_worker".to_owned(), message }))
        };
        sqlx::query(
            "UPDATE builds SET state = $2, reason_json = $3, finished_ms = $4, worker = NULL, lease_until_ms = NULL, \
             version = version + 1 WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(state.as_str())
        .bind(reason.as_ref().map(to_json).transpose()?)
        .bind(state.has_ended().then_some(now))
        .execute(&mut **transaction)
        .await
        .map_err(Error::unavailable("taking builds back"))?;
        let description =
            reason.map_or_else(|| "the worker was lost; queued again".to_owned(), |reason| reason.message);
        outbox::write(transaction, id, (state, &description), now).await
    }

    /// Ends a queued build, or asks the worker of a running one to end it.
    pub async fn cancel(&self, id: &BuildId) -> Result<Cancel, Error> {
        let doing = "cancelling a build";
        let mut transaction = self.write().await?;
        let row = sqlx::query("SELECT state FROM builds WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        let Some(row) = row else { return Ok(Cancel::NotFound) };
        let name: String = row.try_get(0).map_err(Error::unavailable(doing))?;
        let state = BuildState::parse(&name).ok_or(Error::Damaged("the state of a build"))?;
        let now = self.clock.now_ms();
        let (sql, answer) = match state {
            BuildState::Queued => (
                "UPDATE builds SET state = 'cancelled', reason_json = $2, finished_ms = $3, cancel_requested = TRUE, \
                 version = version + 1 WHERE id = $1",
                Cancel::Cancelled,
            ),
            state if state.has_ended() => return Ok(Cancel::AlreadyFinished(state)),
            _ => (
                "UPDATE builds SET cancel_requested = TRUE, version = version + 1 WHERE id = $1 AND $2 <> '' AND $3 > 0",
                Cancel::Requested,
            ),
        };
        sqlx::query(sql)
            .bind(id.as_str())
            .bind(to_json(&cancelled())?)
            .bind(now)
            .execute(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        if answer == Cancel::Cancelled {
            outbox::write(&mut transaction, id, (BuildState::Cancelled, "cancelled"), now).await?;
        }
        transaction.commit().await.map_err(Error::unavailable(doing))?;
        Ok(answer)
    }

    /// Changes columns of the claimed build; fails if it is claimed no more.
    async fn fenced(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        claim: &Claim,
        change: &str,
        values: &[&str],
    ) -> Result<(), Error> {
        let sql = format!("UPDATE builds SET {change}, version = version + 1 WHERE {FENCE}");
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(claim.build.id.as_str().to_owned()).bind(claim.attempt);
        for value in values {
            query = query.bind((*value).to_owned());
        }
        let written = query.execute(&mut **transaction).await.map_err(Error::unavailable("writing a build"))?;
        if written.rows_affected() == 0 { Err(Error::LeaseLost) } else { Ok(()) }
    }
}

fn cancelled() -> Reason {
    Reason { code: "cancelled".to_owned(), message: "the build was cancelled".to_owned() }
}
