//! Old entries of the audit log, and logins of the command line that nobody confirmed.

use crate::database::Database;
use crate::error::Error;
use crate::retention::removals::{PAUSE, Removed};
use crate::sql::statement::sql;

/// Entries that one transaction removes.
const BATCH: u64 = 1000;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Database {
    /// Removes entries that are older than so many days, and logins of the command line that nobody confirmed.
    pub(super) async fn remove_old_audit(&self, days: Option<u32>, removed: &mut Removed) -> Result<(), Error> {
        let doing = "removing old entries of the audit log";
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        let text = "DELETE FROM device_logins WHERE expires_ms <= $1";
        sql("removing old logins", text).bind(now).run(transaction.on()).await?;
        transaction.commit("removing old logins").await?;
        let Some(days) = days else { return Ok(()) };
        let old = now - i64::from(days) * DAY_MS;
        let text = format!(
            "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE at_ms < $1 ORDER BY id LIMIT {BATCH})"
        );
        loop {
            let mut transaction = self.begin().await?;
            let gone = sql(doing, text.clone()).bind(old).run(transaction.on()).await?;
            removed.add(&mut transaction, &[("audit_log", gone as i64)]).await?;
            transaction.commit(doing).await?;
            if gone < BATCH {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
