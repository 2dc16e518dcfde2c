//! The handle that everything else is called on: connections, clock, limits, and what is shared by its clones.

use crate::access::sealing;
use crate::access::secret_key::SecretKey;
use crate::deliveries::batches::Batches;
use crate::error::Error;
use crate::sql::announcements::Announcements;
use crate::sql::build_changes::BuildChanges;
use crate::sql::clock::Clock;
use crate::sql::connect::Store;
#[cfg(test)]
use crate::sql::faults::Faults;
use crate::sql::listener::JobListener;
use crate::sql::schema;
use crate::sql::statement::On;
use crate::sql::transaction::Transaction;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait before a database that was unavailable is asked again.
pub(crate) const RETRY_DELAY: Duration = Duration::from_millis(300);

/// Limits that tests shorten.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// How long the last request of a worker that lost its lease may still be on its way to a registry.
    pub grace: Duration,
    /// How many times a build is tried before the service gives up.
    pub attempts: i64,
    /// Bytes of log that are kept of a build.
    pub log_limit: i64,
}

impl Default for Settings {
    fn default() -> Self {
        let (lease, grace) = (Duration::from_secs(60), Duration::from_secs(15));
        Settings { lease, grace, attempts: 3, log_limit: 64 * 1024 * 1024 }
    }
}

/// The database; cheap to clone. Several processes may have the same one open.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) key: Option<Arc<SecretKey>>,
    pub(crate) batches: Arc<Batches>,
    pub(crate) work: Arc<Announcements>,
    pub(crate) changes: Arc<BuildChanges>,
    pub(crate) listener: Arc<JobListener>,
}

impl Database {
    /// Opens `url` and brings its schema up to date: `sqlite:///path/to/slipway.db`, created if it is missing, or
    /// `postgres://user@host/name`.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Database::open_with(url, Settings::default()).await
    }

    /// Opens `url` with other limits.
    pub async fn open_with(url: &str, settings: Settings) -> Result<Self, Error> {
        let (clock, work) = (Clock::default(), Arc::<Announcements>::default());
        let store = Store::connect(url).await?;
        schema::migrate(&store, store.begin(&clock, &work)).await?;
        let database = Database {
            store,
            clock,
            settings,
            key: None,
            batches: Arc::default(),
            work,
            changes: Arc::default(),
            listener: Arc::default(),
        };
        database.clamp_future_times().await?;
        Ok(database)
    }

    /// Returns the same database with the key for its secrets.
    #[must_use]
    pub fn with_key(mut self, key: SecretKey) -> Self {
        let key = Arc::new(key);
        sealing::remember(&key);
        self.key = Some(key);
        self
    }

    /// Returns the faults that a test plans.
    #[cfg(test)]
    pub(crate) fn faults(&self) -> &Faults {
        match &self.store {
            Store::Sqlite { faults, .. } | Store::Postgres { faults, .. } => faults,
        }
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        self.store.begin(&self.clock, &self.work).await
    }

    /// Begins a transaction that writes, and tries again for `limit` while the database is unavailable: the work of an attempt
    /// is not thrown away because a disk is slow.
    pub(crate) async fn begin_with_retry(&self, limit: Duration) -> Result<Transaction, Error> {
        let until = Instant::now() + limit;
        loop {
            match self.begin().await {
                Err(Error::Unavailable { .. }) if Instant::now() < until => tokio::time::sleep(RETRY_DELAY).await,
                begun => return begun,
            }
        }
    }

    /// Returns what statements that only read are executed on.
    pub(crate) fn read(&self) -> On<'_> {
        self.store.read()
    }

    /// Returns what single statements that write are executed on.
    pub(crate) fn write(&self) -> On<'_> {
        self.store.write()
    }

    /// Returns the database's time.
    pub(crate) async fn now_ms(&self) -> Result<i64, Error> {
        self.store.now_ms(&self.clock, self.read()).await
    }
}
