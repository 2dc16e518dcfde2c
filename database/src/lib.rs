//! SQL, the only place: deliveries, builds (the queue), steps, logs, cache index, tag order.
//!
//! One transaction accepts a delivery with its builds; one conditional update ends a build. Times are those of the
//! machine the database is on, in milliseconds since 1970.
#![forbid(unsafe_code)]

mod accept;
mod cache;
mod clock;
mod error;
mod outbox;
mod publish;
mod queue;
mod record;
mod rows;
mod schema;
mod status;

pub use accept::IdempotencyKey;
pub use error::Error;
pub use publish::Publish;
pub use queue::{Cancel, Lease};
pub use record::*;

use clock::Clock;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};
use std::str::FromStr;
use std::time::Duration;

/// How long a statement waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// Limits that tests shorten.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// How many times a build is tried before the service gives up.
    pub attempts: i64,
    /// Bytes of log that are kept of a build.
    pub log_limit: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { lease: Duration::from_secs(60), attempts: 3, log_limit: 64 * 1024 * 1024 }
    }
}

/// The database; cheap to clone. Several processes may have the same one open.
#[derive(Debug, Clone)]
pub struct Database {
    reader: SqlitePool,
    writer: SqlitePool,
    clock: Clock,
    settings: Settings,
}

impl Database {
    /// Opens `url` (`sqlite:///path/to/slipway.db`, created if it is missing) and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Database::open_with(url, Settings::default()).await
    }

    /// Opens `url` with other limits.
    pub async fn open_with(url: &str, settings: Settings) -> Result<Self, Error> {
        if !url.starts_with("sqlite:") {
            return Err(Error::UnknownKind(url.split(':').next().unwrap_or_default().to_owned()));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(Error::unavailable("opening the database"))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        // One connection writes: SQLite has one writer anyway, and a queue in the process is fairer than its retries.
        let pool = |connections: u32| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(BUSY);
        let writer = pool(1).connect_with(options.clone()).await.map_err(Error::unavailable("opening the database"))?;
        schema::migrate(&writer).await?;
        let reader = pool(4).connect_with(options).await.map_err(Error::unavailable("opening the database"))?;
        Ok(Database { reader, writer, clock: Clock::default(), settings })
    }

    /// Begins a transaction that writes; it takes the write lock at once, so it cannot fail half-way for want of it.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(Error::unavailable("beginning a transaction"))
    }
}

#[cfg(test)]
mod tests;
