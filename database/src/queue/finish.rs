//! Ends of attempts: by their outcome, or because their worker is gone.

use crate::access::redaction::redact;
use crate::database::Database;
use crate::error::Error;
use crate::model::build::Reason;
use crate::model::build_id::BuildId;
use crate::model::build_state::BuildState;
use crate::model::claim::{Claim, Outcome};
use crate::model::json::to_json;
use crate::model::pushed_image::PushedImage;
use crate::outbox::{commit_status, pull_comment};
use crate::queue::claim::FENCE;
use crate::queue::group;
use crate::sql::clock::millis;
use crate::sql::columns::build_id;
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;
/// The columns that the end of an attempt sets.
struct End {
    state: BuildState,
    reason: Option<Reason>,
    image: Option<PushedImage>,
    /// Sealed, if there are any.
    targets: Option<String>,
}

impl Database {
    /// Ends the attempt: the build ends, or goes back to the queue if the service was to blame and tries are left.
    pub async fn finish(&self, claim: Claim, outcome: Outcome) -> Result<BuildState, Error> {
        let doing = "ending a build";
        let (build, attempt) = (&claim.build.id, claim.attempt);
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        let forgiven = i64::from(matches!(outcome, Outcome::GivenBack));
        let tries = attempt - forgiven_of(&mut transaction, build).await?;
        let repository = &claim.build.request.repository;
        let end = self.end(outcome, tries, repository)?;
        let text = format!(
            "UPDATE builds SET state = $3, reason_json = $4, image_json = $5, finished_ms = $6, worker = NULL, \
             lease_until_ms = NULL, not_before_ms = $7, forgiven = forgiven + $8, targets_json = $9, version = version + 1 WHERE {FENCE}"
        );
        let written = sql(doing, text)
            .bind(build.as_str())
            .bind(attempt)
            .bind(end.state.as_str())
            .bind(end.reason.as_ref().map(to_json).transpose()?)
            .bind(end.image.as_ref().map(to_json).transpose()?)
            .bind(end.state.has_ended().then_some(now))
            .bind(if forgiven > 0 { now } else { now + backoff_ms(build, tries) })
            .bind(forgiven)
            .bind(end.targets.clone())
            .run(transaction.on())
            .await?;
        if written == 0 {
            return Err(Error::LeaseLost);
        }
        commit_status::write(&mut transaction, build, end.state, &end.description()).await?;
        pull_comment::write(&mut transaction, &claim.build, end.state).await?;
        self.let_go(&mut transaction, build, millis(self.settings.grace)).await?;
        // A slot and perhaps a serial concurrency group are free.
        transaction.announce_work();
        transaction.commit(doing).await?;
        Ok(end.state)
    }

    fn end(&self, outcome: Outcome, tries: i64, repository: &str) -> Result<End, Error> {
        // Errors of git servers and registries repeat URLs, and whoever may see the build sees the reason.
        let shown = |reason: Reason| Reason { message: redact(&reason.message).into_owned(), ..reason };
        let targets = match &outcome {
            Outcome::Expanded(targets) => Some(group::sealed(self.key.as_ref(), repository, targets)?),
            _ => None,
        };
        let (state, reason, image) = match outcome {
            Outcome::Expanded(_) => (BuildState::Building, None, None),
            Outcome::Succeeded(image) => (BuildState::Succeeded, None, Some(image)),
            Outcome::Superseded(image) => (BuildState::Superseded, None, Some(image)),
            Outcome::Failed(reason) => (BuildState::Failed, Some(shown(reason)), None),
            Outcome::TimedOut(reason) => (BuildState::TimedOut, Some(shown(reason)), None),
            Outcome::Skipped(reason) => (BuildState::Skipped, Some(shown(reason)), None),
            Outcome::Cancelled => (BuildState::Cancelled, Some(cancelled()), None),
            Outcome::GivenBack => (BuildState::Queued, None, None),
            Outcome::Retry(reason) if tries < self.settings.attempts => (BuildState::Queued, Some(shown(reason)), None),
            Outcome::Retry(reason) => (BuildState::Errored, Some(shown(reason)), None),
        };
        Ok(End { state, reason, image, targets })
    }

    /// Takes builds back whose worker has not been heard of for too long.
    pub async fn expire_leases(&self) -> Result<Vec<BuildId>, Error> {
        self.clamp_future_times().await?;
        let now = self.now_ms().await?;
        self.expire_rules_fetches(now).await?;
        // The last request of its worker may still be on its way to the registry.
        self.take_back("lease_until_ms <= CAST($1 AS BIGINT)", &now.to_string(), millis(self.settings.grace)).await
    }

    /// Takes the builds of a worker back that is known to be dead.
    pub async fn release(&self, worker: &str) -> Result<Vec<BuildId>, Error> {
        self.release_rules_fetches(worker).await?;
        self.forget_worker(worker).await?;
        self.take_back("worker = $1", worker, 0).await
    }

    async fn take_back(&self, which: &str, value: &str, grace_ms: i64) -> Result<Vec<BuildId>, Error> {
        let doing = "taking builds back";
        let text = format!(
            "SELECT id, attempt - forgiven AS tries, cancel_requested FROM builds WHERE worker IS NOT NULL AND {which} ORDER BY id"
        );
        if sql(doing, text.clone()).bind(value).optional(self.read()).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin().await?;
        let rows = sql(doing, format!("{text} /*+FOR UPDATE*/")).bind(value).all(transaction.on()).await?;
        let mut taken = Vec::new();
        for row in rows {
            let id = build_id(&row, "id")?;
            self.take_one_back(&mut transaction, &id, row.get("tries")?, row.get("cancel_requested")?).await?;
            self.let_go(&mut transaction, &id, grace_ms).await?;
            taken.push(id);
        }
        transaction.announce_work();
        transaction.commit(doing).await?;
        Ok(taken)
    }

    async fn take_one_back(
        &self,
        transaction: &mut Transaction,
        id: &BuildId,
        tries: i64,
        was_cancelled: bool,
    ) -> Result<(), Error> {
        let (state, reason) = if was_cancelled {
            (BuildState::Cancelled, Some(cancelled()))
        } else if tries < self.settings.attempts {
            (BuildState::Queued, None)
        } else {
            let message = format!("the worker was lost {tries} times");
            (BuildState::Errored, Some(Reason { code: "crashed_worker".to_owned(), message }))
        };
        let now = transaction.now_ms;
        sql(
            "taking builds back",
            "UPDATE builds SET state = $2, reason_json = $3, finished_ms = $4, worker = NULL, lease_until_ms = NULL, \
             version = version + 1 WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(state.as_str())
        .bind(reason.as_ref().map(to_json).transpose()?)
        .bind(state.has_ended().then_some(now))
        .run(transaction.on())
        .await?;
        let description =
            reason.map_or_else(|| "the worker was lost; queued again".to_owned(), |reason| reason.message);
        commit_status::write(transaction, id, state, &description).await
    }
}

/// Returns how many attempts at a build do not count.
async fn forgiven_of(transaction: &mut Transaction, id: &BuildId) -> Result<i64, Error> {
    let row = sql("ending a build", "SELECT forgiven FROM builds WHERE id = $1")
        .bind(id.as_str())
        .optional(transaction.on())
        .await?;
    row.map_or(Ok(0), |row| row.get("forgiven"))
}

impl End {
    fn description(&self) -> String {
        let first_line = |reason: &Reason| reason.message.lines().next().unwrap_or_default().to_owned();
        if self.targets.is_some() {
            return "waiting for its targets".to_owned();
        }
        let reason = self.reason.as_ref().map(first_line);
        reason.or_else(|| self.image.as_ref().map(|image| image.digest.clone())).unwrap_or_default()
    }
}

/// Returns how long a build waits after a failed attempt: longer each time, and not all of them for the same time.
fn backoff_ms(id: &BuildId, attempt: i64) -> i64 {
    let jitter = id.as_str().bytes().fold(0, |sum: i64, byte| (sum * 31 + i64::from(byte)) % 500);
    1000 * attempt * attempt + jitter
}

/// Returns why a cancelled build ended.
pub(crate) fn cancelled() -> Reason {
    Reason { code: "cancelled".to_owned(), message: "the build was cancelled".to_owned() }
}
