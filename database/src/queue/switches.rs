//! Switches that all servers and workers of a database see: the pause of the queue.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::sql;
/// The switch of a queue that gives out no builds.
pub(crate) const QUEUE_PAUSED: &str = "queue_paused";
/// The switch that is turned to see whether the database stores anything.
const STORED: &str = "stored";

impl Database {
    /// Lets no build be claimed until [`Database::resume_queue`]; those that run go on.
    pub async fn pause_queue(&self) -> Result<(), Error> {
        self.set_paused(true).await
    }

    /// Lets builds be claimed again.
    pub async fn resume_queue(&self) -> Result<(), Error> {
        self.set_paused(false).await
    }

    /// Tells whether the queue is paused.
    pub async fn is_queue_paused(&self) -> Result<bool, Error> {
        let text = "SELECT name FROM switches WHERE name = $1 AND is_on";
        Ok(sql("reading the queue", text).bind(QUEUE_PAUSED).optional(self.read()).await?.is_some())
    }

    async fn set_paused(&self, is_on: bool) -> Result<(), Error> {
        let doing = "pausing the queue";
        let mut transaction = self.begin().await?;
        sql(
            doing,
            "INSERT INTO switches (name, is_on) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET is_on = excluded.is_on",
        )
        .bind(QUEUE_PAUSED)
        .bind(is_on)
        .run(transaction.on())
        .await?;
        transaction.announce_work();
        transaction.commit(doing).await
    }

    /// Stores something as a delivery is stored, to find out whether one could be now: by the same connection, in the same
    /// kind of transaction. A read, or a statement of its own, would not prove that.
    pub async fn try_to_store(&self) -> Result<(), Error> {
        let doing = "trying to store";
        let text = "INSERT INTO switches (name, is_on) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET is_on = NOT switches.is_on";
        let mut transaction = self.begin_accepting().await?;
        sql(doing, text).bind(STORED).bind(true).run(transaction.on()).await?;
        transaction.commit(doing).await
    }
}
