//! When the next thing is due that workers reconcile with the outside.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::sql;
use std::time::Duration;

impl Database {
    /// Returns how long nothing is due: no ref poll, no base image, no check of a tag and no removal; `None` if nothing ever is.
    pub async fn next_reconciliation(&self) -> Result<Option<Duration>, Error> {
        let text = "SELECT MIN(due_ms) AS due_ms FROM ( \
             SELECT CASE WHEN lease_until_ms > due_ms THEN lease_until_ms ELSE due_ms END AS due_ms FROM ref_polls WHERE answer_json IS NULL \
             UNION ALL SELECT due_ms FROM base_images UNION ALL SELECT MIN(remove_ms) FROM pull_tags \
             UNION ALL SELECT CASE WHEN holder IS NOT NULL AND held_until_ms > check_ms THEN held_until_ms ELSE check_ms END \
             FROM tags WHERE check_ms IS NOT NULL) d";
        let due: Option<i64> = sql("reading what is due", text).one(self.read()).await?.get("due_ms")?;
        let now = self.now_ms().await?;
        Ok(due.map(|due| Duration::from_millis((due - now).max(0).unsigned_abs())))
    }
}
