//! Leftovers of the embedded registry: changes recorded long ago, and refresh tokens that have ended.

use crate::database::Database;
use crate::error::Error;
use crate::retention::removals::{PAUSE, Removed};
use crate::sql::statement::sql;

/// How long a change stays recorded, in milliseconds.
const CHANGES_MS: i64 = 365 * 24 * 60 * 60 * 1000;
/// Changes that stay recorded, from the last one on.
const CHANGES: i64 = 100_000;
/// Changes that one transaction removes.
const BATCH: u64 = 1000;

impl Database {
    /// Removes what nobody asks for any more.
    pub(super) async fn remove_registry_leftovers(&self, removed: &mut Removed) -> Result<(), Error> {
        let doing = "removing old changes of the registry";
        let last = "SELECT COALESCE(MAX(id), 0) AS last FROM registry_changes";
        let count = sql(doing, last).one(self.read()).await?.get::<i64>("last")? - CHANGES;
        let old = self.now_ms().await? - CHANGES_MS;
        let age =
            sql(doing, format!("{last} WHERE at_ms < $1")).bind(old).one(self.read()).await?.get::<i64>("last")?;
        let text = format!(
            "DELETE FROM registry_changes WHERE id IN (SELECT id FROM registry_changes WHERE id <= $1 ORDER BY id LIMIT {BATCH})"
        );
        loop {
            let mut transaction = self.begin().await?;
            let gone = sql(doing, text.clone()).bind(count.max(age)).run(transaction.on()).await?;
            removed.add(&mut transaction, &[("registry_changes", gone as i64)]).await?;
            transaction.commit(doing).await?;
            if gone < BATCH {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let text = "DELETE FROM registry_refresh_tokens WHERE expires_ms <= $1";
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        let gone = sql("removing old tokens", text).bind(now).run(transaction.on()).await?;
        removed.add(&mut transaction, &[("registry_refresh_tokens", gone as i64)]).await?;
        transaction.commit("removing old tokens").await
    }
}
