//! Connections: one writer and some readers for SQLite, a pool for PostgreSQL.

use crate::error::Error;
use crate::sql::announcements::Announcements;
use crate::sql::clock::Clock;
use crate::sql::connection::Connection;
use crate::sql::faults::Faults;
use crate::sql::limits::{TIMEOUT, limited};
use crate::sql::statement::{On, sql};
use crate::sql::target::Target;
use crate::sql::transaction::Transaction;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections that a process has to PostgreSQL at most.
const CONNECTIONS: u32 = 10;
/// How often it is tried to open a file that others are opening.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The connections to a database.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// A file. One connection writes: SQLite has one writer anyway, and a queue in the process is fairer than its retries.
    Sqlite {
        /// Reads beside the writer.
        reader: SqlitePool,
        /// The one that writes.
        writer: SqlitePool,
        /// Where it is.
        file: PathBuf,
        /// Faults that a test injects.
        faults: Faults,
    },
    /// A server.
    Postgres {
        /// Its connections.
        pool: PgPool,
        /// Faults that a test injects.
        faults: Faults,
    },
}

impl Store {
    /// Connects to the database that `url` names.
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        match url.split_once(':').map_or(url, |(kind, _)| kind) {
            "sqlite" => Store::sqlite(url).await,
            "postgres" | "postgresql" => Store::postgres(url).await,
            kind => Err(Error::UnknownKind(kind.to_owned())),
        }
    }

    async fn sqlite(url: &str) -> Result<Self, Error> {
        let doing = "opening the database";
        let options = SqliteConnectOptions::from_str(url)
            .map_err(Error::unavailable(doing))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // Nothing that a statement puts aside goes to a disk that may be full.
            .pragma("temp_store", "MEMORY")
            .busy_timeout(TIMEOUT);
        let writer = sqlite_pool(1, &options).await.map_err(Error::unavailable(doing))?;
        let reader = sqlite_pool(4, &options).await.map_err(Error::unavailable(doing))?;
        Ok(Store::Sqlite { reader, writer, file: options.get_filename().to_owned(), faults: Faults::none() })
    }

    async fn postgres(url: &str) -> Result<Self, Error> {
        let doing = "connecting to the database";
        let milliseconds = |factor| (TIMEOUT * factor).as_millis().to_string();
        let options =
            PgConnectOptions::from_str(url).map_err(Error::unavailable(doing))?.application_name("slipway").options([
                ("synchronous_commit", "on".to_owned()),
                // Every statement here finds few rows by an index, in its order. Before a new table was analysed the planner
                // does not know how few, and reads and sorts all of it.
                ("enable_hashjoin", "off".to_owned()),
                ("enable_mergejoin", "off".to_owned()),
                ("enable_seqscan", "off".to_owned()),
                ("enable_bitmapscan", "off".to_owned()),
                ("enable_sort", "off".to_owned()),
                ("jit", "off".to_owned()),
                // No value changes which index is right, so a plan is made once and not for each value.
                ("plan_cache_mode", "force_generic_plan".to_owned()),
                ("lock_timeout", milliseconds(1)),
                ("statement_timeout", milliseconds(2)),
                // A process that hangs, or is cut off, in the middle of a transaction does not hold its locks for long.
                ("idle_in_transaction_session_timeout", milliseconds(2)),
            ]);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(TIMEOUT);
        let pool = match pool.connect_with(options.clone()).await {
            Ok(pool) => pool,
            Err(error) => {
                return Err(Error::NoServer { server: server(&options), cause: reason(&options, error).await });
            }
        };
        Ok(Store::Postgres { pool, faults: Faults::none() })
    }

    /// Tells whether those who write wait for one another, so that it is worth to look first whether there is anything to do.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Store::Sqlite { .. })
    }

    /// Returns what statements that only read are executed on.
    pub(crate) fn read(&self) -> On<'_> {
        match self {
            Store::Sqlite { reader, faults, .. } => On { target: Target::SqlitePool(reader), faults },
            Store::Postgres { pool, faults } => On { target: Target::PostgresPool(pool), faults },
        }
    }

    /// Returns what single statements that write are executed on.
    pub(crate) fn write(&self) -> On<'_> {
        match self {
            Store::Sqlite { writer, faults, .. } => On { target: Target::SqlitePool(writer), faults },
            Store::Postgres { pool, faults } => On { target: Target::PostgresPool(pool), faults },
        }
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self, clock: &Clock, work: &Arc<Announcements>) -> Result<Transaction, Error> {
        let doing = "beginning a transaction";
        let (connection, faults) = match self {
            Store::Sqlite { writer, faults, .. } => {
                (Connection::Sqlite(limited(doing, writer.acquire()).await?), faults)
            }
            Store::Postgres { pool, faults } => (Connection::Postgres(limited(doing, pool.acquire()).await?), faults),
        };
        let mut transaction = Transaction::begin(connection, faults, work).await?;
        transaction.now_ms = self.now_ms(clock, transaction.on()).await?;
        Ok(transaction)
    }

    /// Returns the time of the machine that the database is on: this one's for a file.
    pub(crate) async fn now_ms(&self, clock: &Clock, on: On<'_>) -> Result<i64, Error> {
        match self {
            Store::Sqlite { .. } => Ok(clock.here_ms()),
            Store::Postgres { .. } => {
                let time = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms";
                Ok(sql("reading the database's clock", time).one(on).await?.get::<i64>("now_ms")? + clock.ahead_ms())
            }
        }
    }
}

/// Opens connections to a file. While others open it for the first time, or the last of them closes it, SQLite refuses
/// without waiting, whatever its timeout is.
async fn sqlite_pool(connections: u32, options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let until = Instant::now() + TIMEOUT;
    loop {
        let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(TIMEOUT);
        match pool.connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && Instant::now() < until => tokio::time::sleep(POLL_INTERVAL).await,
            opened => return opened,
        }
    }
}

/// Tells whether somebody else has the file: SQLITE_BUSY, with whatever SQLite adds to it.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// Returns how messages name a server.
fn server(options: &PgConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}

/// Returns why no connection can be had: a pool that tried for long enough only says that it did.
async fn reason(options: &PgConnectOptions, error: sqlx::Error) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    match tokio::time::timeout(TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Err(reason)) => reason,
        _ => error,
    }
}
