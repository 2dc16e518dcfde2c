//! Schedules: what is due is built once, however many servers look at the clock.

use crate::insert::Origin;
use crate::sql::sql;
use crate::{BuildId, BuildRequest, Database, Error, outbox};

/// How long it is remembered what was built.
const MEMORY_MS: i64 = 30 * 24 * 60 * 60 * 1000;

impl Database {
    /// Stores the builds of a rule that is due at `due_ms`; `None` if that was done already.
    pub async fn begin_schedule(
        &self,
        repository: &str,
        rule: &str,
        due_ms: i64,
        requests: &[BuildRequest],
    ) -> Result<Option<Vec<BuildId>>, Error> {
        let doing = "beginning a scheduled build";
        let mut transaction = self.begin_accepting().await?;
        let text = "INSERT INTO schedule_runs (repository, rule, due_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let first = sql(doing, text).bind(repository).bind(rule).bind(due_ms).run(transaction.on()).await?;
        if first == 0 {
            return Ok(None);
        }
        sql(doing, "DELETE FROM schedule_runs WHERE repository = $1 AND rule = $2 AND due_ms < $3")
            .bind(repository)
            .bind(rule)
            .bind(due_ms - MEMORY_MS)
            .run(transaction.on())
            .await?;
        let builds = self.insert_builds(&mut transaction, &Origin::default(), requests).await?;
        outbox::write_queued(&mut transaction, &builds).await?;
        transaction.commit(doing).await?;
        Ok(Some(builds))
    }
}
