//! Approval: some builds are queued, but given to no worker before somebody approves them.

use crate::database::Database;
use crate::error::Error;
use crate::model::build::build_state;
use crate::model::build_id::BuildId;
use crate::model::build_request::parallel_group;
use crate::model::build_state::BuildState;
use crate::outbox::commit_status;
use crate::sql::columns::get;
use crate::sql::statement::sql;
/// The result of approving a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approved {
    /// It waits for a worker now.
    Queued,
    /// It was approved before, by whoever has this name.
    Before(String),
    /// It ended before anybody approved it, like this.
    AlreadyFinished(BuildState),
    /// It is one that needs no approval.
    NotHeld,
    /// There is no such build.
    NotFound,
}

impl Database {
    /// Approves a build: it goes to the workers in the order of its acceptance.
    pub async fn approve(&self, id: &BuildId, by: &str) -> Result<Approved, Error> {
        let doing = "approving a build";
        let mut transaction = self.begin().await?;
        let text = "SELECT state, awaits_approval, approved_by, repository FROM builds WHERE id = $1 /*+FOR UPDATE*/";
        let row = sql(doing, text).bind(id.as_str()).optional(transaction.on()).await?;
        let Some(row) = row else { return Ok(Approved::NotFound) };
        if let Some(by) = get(&row, "approved_by")? {
            return Ok(Approved::Before(by));
        }
        match (get(&row, "awaits_approval")?, build_state(&row, "state")?) {
            (false, _) => return Ok(Approved::NotHeld),
            (true, state) if state.has_ended() => return Ok(Approved::AlreadyFinished(state)),
            (true, _) => {}
        }
        sql(
            doing,
            "UPDATE builds SET awaits_approval = FALSE, approved_by = $2, concurrency_group = $3, version = version + 1 WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(by)
        .bind(parallel_group(&get::<String>(&row, "repository")?))
        .run(transaction.on())
        .await?;
        commit_status::write(&mut transaction, id, BuildState::Queued, "waiting for a worker").await?;
        transaction.announce_build(id.as_str());
        transaction.announce_work();
        transaction.commit(doing).await?;
        Ok(Approved::Queued)
    }
}
