//! Waiting for work, pausing it, and who is there to do it.

use crate::sql::{Store, WORK, sql};
use crate::{Database, Error};
use sqlx::postgres::{PgListener, PgPool};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How often a file is looked at: another process does not say that it wrote to it.
const LOOK: Duration = Duration::from_millis(20);
/// How often a server is asked that would say so: a build whose back-off ends becomes ready without a word.
const ASK: Duration = Duration::from_secs(1);
/// A worker that was not seen for so long is gone.
const GONE_MS: i64 = 60_000;

/// A worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Its name.
    pub name: String,
    /// How many builds it runs at once.
    pub slots: i64,
    /// When it was last heard of, in milliseconds since 1970.
    pub seen_ms: i64,
}

/// Hears what PostgreSQL announces, from the first time that somebody waits until the database is dropped.
#[derive(Debug, Default)]
pub struct Ear(OnceLock<JoinHandle<()>>);

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

impl Database {
    /// Waits until a build, a lookup or a question can be claimed, or `limit` is over; tells which.
    pub async fn wait_for_work(&self, limit: Duration) -> Result<bool, Error> {
        let pause = match &self.store {
            Store::Sqlite { .. } => LOOK,
            Store::Postgres { pool, .. } => {
                self.ear.0.get_or_init(|| tokio::spawn(hear(pool.clone(), self.work.clone())));
                ASK
            }
        };
        let until = Instant::now() + limit;
        loop {
            // Whoever announces work after this line wakes us, so nothing slips through between looking and waiting.
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
            "SELECT EXISTS (SELECT 1 FROM builds WHERE state = 'queued'), EXISTS (SELECT 1 FROM lookups WHERE state = 'open') \
             OR EXISTS (SELECT 1 FROM questions WHERE state = 'open')",
        )
        .one(self.read())
        .await?;
        Ok(row.get(1)? || row.get(0)? && self.has_ready_build().await?)
    }

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
        let text = "SELECT name FROM switches WHERE name = 'queue_paused' AND is_on";
        Ok(sql("reading the queue", text).optional(self.read()).await?.is_some())
    }

    async fn set_paused(&self, is_on: bool) -> Result<(), Error> {
        let doing = "pausing the queue";
        let mut transaction = self.begin().await?;
        sql(
            doing,
            "INSERT INTO switches (name, is_on) VALUES ('queue_paused', $1) \
             ON CONFLICT (name) DO UPDATE SET is_on = excluded.is_on",
        )
        .bind(is_on)
        .run(transaction.on())
        .await?;
        transaction.announce_work();
        transaction.commit(doing).await
    }

    /// Stores something as a delivery is stored, to find out whether one could be now: by the same connection, in the same
    /// kind of transaction. What can be read, and a statement of its own, say nothing of that.
    pub async fn try_to_store(&self) -> Result<(), Error> {
        let doing = "trying to store";
        let text = "INSERT INTO switches (name, is_on) VALUES ('stored', $1) \
             ON CONFLICT (name) DO UPDATE SET is_on = NOT switches.is_on";
        let mut transaction = self.begin_accepting().await?;
        sql(doing, text).bind(true).run(transaction.on()).await?;
        transaction.commit(doing).await
    }

    /// Says that a worker is there and how many builds it runs at once; to be said again within a minute.
    pub async fn register_worker(&self, name: &str, slots: i64) -> Result<(), Error> {
        let now = self.now_ms().await?;
        sql(
            "registering a worker",
            "INSERT INTO workers (name, slots, seen_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, seen_ms = excluded.seen_ms",
        )
        .bind(name)
        .bind(slots)
        .bind(now)
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Returns the workers that are there.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, Error> {
        let since = self.now_ms().await? - GONE_MS;
        let text = "SELECT name, slots, seen_ms FROM workers WHERE seen_ms > $1 ORDER BY name";
        let rows = sql("reading the workers", text).bind(since).all(self.read()).await?;
        let worker =
            |row: &crate::sql::Row| Ok(WorkerRecord { name: row.get(0)?, slots: row.get(1)?, seen_ms: row.get(2)? });
        rows.iter().map(worker).collect()
    }

    /// Tells whether all who use this database are on one machine, because it is a file.
    pub fn is_of_one_machine(&self) -> bool {
        self.store.has_one_writer()
    }

    pub(crate) async fn forget_worker(&self, name: &str) -> Result<(), Error> {
        sql("forgetting a worker", "DELETE FROM workers WHERE name = $1").bind(name).run(self.write()).await?;
        Ok(())
    }
}

/// Keeps hearing, whatever happens to the connection.
async fn hear(pool: PgPool, work: Arc<Notify>) {
    loop {
        if let Err(error) = hear_until_lost(&pool, &work).await {
            tracing::debug!(%error, "the database's announcements are not heard; its queue is asked instead");
        }
        tokio::time::sleep(ASK).await;
    }
}

/// Wakes those who wait whenever PostgreSQL says that there is work, or might have said so while it was not heard.
async fn hear_until_lost(pool: &PgPool, work: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(WORK).await?;
    loop {
        work.notify_waiters();
        listener.try_recv().await?;
    }
}
