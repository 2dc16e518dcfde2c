//! Rollbacks: a new build whose image is the one that an earlier build made.

use crate::database::Database;
use crate::deliveries::push_order::{GAP, Pushed};
use crate::error::Error;
use crate::model::build::{BUILD, build};
use crate::model::build_id::BuildId;
use crate::model::build_state::BuildState;
use crate::model::trigger::Trigger;
use crate::outbox::commit_status;
use crate::queue::enqueue::{Origin, count};
use crate::sql::statement::sql;

/// The result of asking for a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolledBack {
    /// This new build is queued.
    Queued(BuildId),
    /// The build has no image that its tags could go back to; it is like this.
    NoImage(BuildState),
    /// There is no such build.
    NotFound,
}

impl Database {
    /// Queues a build that gives the tags of `id` the image of `id` again, for the account or token `by`. It is newer than
    /// all pushes so far: the next one moves the tags on.
    pub async fn roll_back(&self, id: &BuildId, by: &str) -> Result<RolledBack, Error> {
        let doing = "rolling back to a build";
        let mut transaction = self.begin_accepting().await?;
        let row = sql(doing, format!("SELECT {BUILD} FROM builds WHERE id = $1"))
            .bind(id.as_str())
            .optional(transaction.on())
            .await?;
        let Some(row) = row else { return Ok(RolledBack::NotFound) };
        let original = build(&row)?;
        let mut request = original.request;
        let image = original.image.filter(|_| request.spec.push && request.spec.options.trusted);
        let Some(image) = image else { return Ok(RolledBack::NoImage(original.state)) };
        request.trigger = Trigger::Rollback { of: id.clone(), by: by.to_owned() };
        if let Some(commit) = &original.commit {
            // Its tags are those that the image had, also where the request did not name the commit.
            request.spec = request.spec.with_commit(commit);
        }
        request.spec.commit = original.commit;
        request.spec.options.image = Some(Box::new(image));
        let git_ref = request.spec.git_ref.clone();
        let sequence = count(&mut transaction, &request.repository, &git_ref, GAP).await?;
        let origin = Origin { delivery: None, push: Some(Pushed { id: None, git_ref, sequence }) };
        let mut ids = self.insert_builds(&mut transaction, &origin, &[request]).await?;
        commit_status::write_queued(&mut transaction, &ids).await?;
        transaction.commit(doing).await?;
        ids.pop().map(RolledBack::Queued).ok_or(Error::Damaged("a rollback"))
    }
}
