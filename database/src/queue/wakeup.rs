//! Waiting for work.

use crate::database::Database;
use crate::error::Error;
use crate::sql::connect::Store;
use crate::sql::statement::sql;
use crate::sql::states::{FETCH_OPEN, QUERY_OPEN, QUEUED};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often a SQLite file is polled: another process does not announce its writes.
const FILE_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How often PostgreSQL is polled although it announces work: nothing announces that a build's back-off has ended.
const SERVER_POLL_INTERVAL: Duration = Duration::from_secs(1);

impl Database {
    /// Waits until a build, a lookup or a question can be claimed, or `limit` is over; tells which.
    pub async fn wait_for_work(&self, limit: Duration) -> Result<bool, Error> {
        let pause = match &self.store {
            Store::Sqlite { .. } => FILE_POLL_INTERVAL,
            Store::Postgres { pool, .. } => {
                self.listener.start(pool, &self.work, &self.changes);
                SERVER_POLL_INTERVAL
            }
        };
        let until = Instant::now() + limit;
        loop {
            // An announcement after this line wakes this task, so nothing slips through between the query and the wait.
            let announced = self.work.notified();
            tokio::pin!(announced);
            announced.as_mut().enable();
            if self.has_work().await? {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let _ = timeout(pause.min(left), announced).await;
        }
    }

    /// Tells whether something could be claimed; cheap while there is nothing.
    async fn has_work(&self) -> Result<bool, Error> {
        let row = sql(
            "looking for work",
            format!("SELECT EXISTS (SELECT 1 FROM builds WHERE state = {QUEUED}) AS has_builds, EXISTS (SELECT 1 FROM lookups WHERE state = {FETCH_OPEN}) \
             OR EXISTS (SELECT 1 FROM questions WHERE state = {QUERY_OPEN}) AS has_others"),
        )
        .one(self.read())
        .await?;
        Ok(row.get("has_others")? || row.get("has_builds")? && self.has_ready_build().await?)
    }
}
