//! Retries: a new build that repeats an earlier one.

use crate::database::Database;
use crate::deliveries::push_order::Pushed;
use crate::error::Error;
use crate::model::build::{BUILD, Build, build, build_state};
use crate::model::build_id::BuildId;
use crate::model::build_request::{BuildRequest, BuildSpec};
use crate::model::build_state::BuildState;
use crate::model::trigger::Trigger;
use crate::outbox::commit_status;
use crate::queue::enqueue::Origin;
use crate::sql::columns::get;
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;
/// Where a build begins that is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryFrom {
    /// With nothing: no cached step is used, in this build only.
    Start,
    /// With the step that failed: those before it come from the cache.
    FailedStep,
}

/// The result of retrying a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// This new build is queued.
    Queued(BuildId),
    /// The build has not ended; it is like this.
    NotFinished(BuildState),
    /// There is no such build.
    NotFound,
}

impl Database {
    /// Queues a build that repeats `id`. It is as new as the push that `id` was for: no tag goes back because of it.
    pub async fn retry(&self, id: &BuildId, from: RetryFrom) -> Result<Retried, Error> {
        let doing = "repeating a build";
        let mut transaction = self.begin_accepting().await?;
        let row =
            sql(doing, "SELECT state FROM builds WHERE id = $1").bind(id.as_str()).optional(transaction.on()).await?;
        let Some(row) = row else { return Ok(Retried::NotFound) };
        let state = build_state(&row, "state")?;
        if !state.has_ended() {
            return Ok(Retried::NotFinished(state));
        }
        // That an earlier repetition used no cache was for itself only: what the rule says is in the first build.
        let use_cache = from == RetryFrom::FailedStep && first_spec(&mut transaction, id).await?.use_cache;
        let repeated = self.repeat(&mut transaction, id, |request| request.spec.use_cache = use_cache).await?;
        transaction.commit(doing).await?;
        Ok(Retried::Queued(repeated))
    }

    /// Stores a build like `id`, with a changed request, at the same place in the order of publication.
    pub(crate) async fn repeat(
        &self,
        transaction: &mut Transaction,
        id: &BuildId,
        change: impl FnOnce(&mut BuildRequest),
    ) -> Result<BuildId, Error> {
        let doing = "repeating a build";
        let row = sql(doing, format!("SELECT {BUILD}, push_id FROM builds WHERE id = $1"))
            .bind(id.as_str())
            .one(transaction.on())
            .await?;
        let (original, push) = (Build::read(&row)?, get(&row, "push_id")?);
        let git_ref = original.request.spec.git_ref.clone();
        let pushed = Pushed { id: push, git_ref, sequence: original.sequence };
        let mut request = original.request;
        request.trigger = Trigger::Retry { of: id.clone() };
        request.spec.commit = original.commit;
        change(&mut request);
        let origin = Origin { delivery: None, push: Some(pushed) };
        let mut ids = self.insert_builds(transaction, &origin, &[request]).await?;
        commit_status::write_queued(transaction, &ids).await?;
        ids.pop().ok_or(Error::Damaged("a repeated build"))
    }
}

/// Returns the specification of the build that the first repetition repeated, or of the first that is still there.
pub(crate) async fn first_spec(transaction: &mut Transaction, id: &BuildId) -> Result<BuildSpec, Error> {
    let (mut id, mut known) = (id.clone(), None);
    loop {
        let row = sql("reading a build", format!("SELECT {BUILD} FROM builds WHERE id = $1"))
            .bind(id.as_str())
            .optional(transaction.on())
            .await?;
        // Retention may have removed what was repeated.
        let Some(row) = row else { return known.ok_or(Error::Damaged("a repeated build")) };
        let request = build(&row)?.request;
        known = Some(request.spec);
        match request.trigger {
            Trigger::Retry { of } => id = of,
            _ => return known.ok_or(Error::Damaged("a repeated build")),
        }
    }
}
