//! Switches that all servers and workers of a database see: the pause of the queue, and workers that are drained.

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
        self.turn(QUEUE_PAUSED, true).await
    }

    /// Lets builds be claimed again.
    pub async fn resume_queue(&self) -> Result<(), Error> {
        self.turn(QUEUE_PAUSED, false).await
    }

    /// Tells whether the queue is paused.
    pub async fn is_queue_paused(&self) -> Result<bool, Error> {
        let text = "SELECT name FROM switches WHERE name = $1 AND is_on";
        Ok(sql("reading the queue", text).bind(QUEUE_PAUSED).optional(self.read()).await?.is_some())
    }

    /// Gives a worker no more builds until [`Database::undrain_worker`]; those that it has go on.
    pub async fn drain_worker(&self, worker: &str) -> Result<(), Error> {
        self.turn(&drained(worker), true).await
    }

    /// Gives a worker builds again.
    pub async fn undrain_worker(&self, worker: &str) -> Result<(), Error> {
        self.turn(&drained(worker), false).await
    }

    /// Tells whether a worker gets no more builds.
    pub(crate) async fn is_drained(&self, worker: &str) -> Result<bool, Error> {
        let text = "SELECT name FROM switches WHERE name = $1 AND is_on";
        Ok(sql("reading the workers", text).bind(drained(worker)).optional(self.read()).await?.is_some())
    }

    async fn turn(&self, name: &str, is_on: bool) -> Result<(), Error> {
        let doing = "turning a switch of the queue";
        let mut transaction = self.begin().await?;
        sql(
            doing,
            "INSERT INTO switches (name, is_on) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET is_on = excluded.is_on",
        )
        .bind(name)
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

/// Returns the name of the switch that drains a worker.
pub(crate) fn drained(worker: &str) -> String {
    format!("drained/{worker}")
}
