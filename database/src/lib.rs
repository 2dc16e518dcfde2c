//! SQL, the only place: deliveries, builds (the queue), steps, logs, cache index, tag order, repositories, tokens, secrets.
//!
//! One transaction accepts a delivery with its builds; one conditional update ends a build. Times are those of the
//! machine the database is on, in milliseconds since 1970. SQLite and PostgreSQL behave the same: see `sql`.
#![forbid(unsafe_code)]

mod accept;
mod ahead;
mod approve;
mod base_image;
mod batch;
mod cache;
mod cancel;
mod chain;
mod claim;
mod clock;
mod counts;
mod delivery;
mod error;
mod explain;
mod finish;
mod insert;
mod look;
mod lookup;
pub mod marks;
mod missed;
mod notice;
mod outbox;
mod progress;
mod publish;
mod push;
mod question;
mod queue;
mod record;
mod redaction;
mod refusal;
mod repository;
mod request;
mod reserve;
mod retention;
mod retry;
mod rows;
mod schedule;
mod schema;
mod sealed;
mod secret;
mod sql;
mod status;
mod tag_check;
mod token;
mod told;
mod trace;
mod webhook;
mod work;

pub use accept::IdempotencyKey;
pub use approve::Approved;
pub use base_image::{BaseImageClaim, Named, SeenImage, WatchedImage};
pub use cancel::Cancel;
pub use claim::Lease;
pub use counts::Counts;
pub use delivery::{Delivery, DeliveryFilter};
pub use error::Error;
pub use explain::{ChangedPath, Explained, ExplainedStep, PathChange, Was, Why};
pub use look::{Heads, LookClaim, LookState, Looked, MovedHead, Seen};
pub use lookup::{AnsweredLookup, LookupClaim, LookupResult};
pub use missed::{FoundPush, MissedPush, SeenLook};
pub use notice::{Notice, NoticeState, Sent};
pub use publish::Publish;
pub use question::{
    Answer, Fate, Foreseen, ForeseenStep, FoundRules, PATIENCE as QUESTION_PATIENCE, Question, QuestionClaim,
};
pub use queue::{QueuePlace, QueuedBuild, WaitingFor};
pub use record::*;
pub use redaction::redact;
pub use refusal::{Refusal, StatusAnswer};
pub use repository::{Put, RepositoryRecord};
pub use request::*;
pub use retention::{Limit, Limits, Removed, RetentionPolicy};
pub use retry::{Retried, RetryFrom};
pub use schedule::OwnSchedule;
pub use secret::{KeyFit, SecretKey};
pub use tag_check::{TagCheck, TagVerdict};
pub use token::{NewToken, TokenRecord};
pub use trace::{PathPiece, Usage};
pub use webhook::{Event, WebhookRecord};
pub use work::WorkerRecord;

use clock::Clock;
use sql::{On, Store, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long to wait before a database that was unavailable is asked again.
const PAUSE: Duration = Duration::from_millis(300);

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
    store: Store,
    clock: Clock,
    settings: Settings,
    key: Option<Arc<SecretKey>>,
    batches: Arc<batch::Batches>,
    work: Arc<Notify>,
    ear: Arc<work::Ear>,
}

impl Database {
    /// Opens `url` and brings its schema up to date: `sqlite:///path/to/slipway.db`, created if it is missing, or
    /// `postgres://user@host/name`.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Database::open_with(url, Settings::default()).await
    }

    /// Opens `url` with other limits.
    pub async fn open_with(url: &str, settings: Settings) -> Result<Self, Error> {
        let (clock, work) = (Clock::default(), Arc::new(Notify::new()));
        let store = Store::connect(url).await?;
        schema::migrate(&store, store.begin(&clock, &work)).await?;
        let database =
            Database { store, clock, settings, key: None, batches: Arc::default(), work, ear: Arc::default() };
        database.bring_back().await?;
        Ok(database)
    }

    /// Returns the same database with the key for its secrets.
    #[must_use]
    pub fn with_key(mut self, key: SecretKey) -> Self {
        let key = Arc::new(key);
        sealed::remember(&key);
        self.key = Some(key);
        self
    }

    /// Returns the faults that a test plans.
    #[cfg(test)]
    fn faults(&self) -> &sql::Faults {
        match &self.store {
            Store::Sqlite { faults, .. } | Store::Postgres { faults, .. } => faults,
        }
    }

    /// Begins a transaction that writes.
    async fn begin(&self) -> Result<Transaction, Error> {
        self.store.begin(&self.clock, &self.work).await
    }

    /// Begins a transaction that writes, however busy the database is, unless it stays so for `limit`: what an attempt has
    /// done is not thrown away because a disk is slow.
    async fn begin_patiently(&self, limit: Duration) -> Result<Transaction, Error> {
        let until = Instant::now() + limit;
        loop {
            match self.begin().await {
                Err(Error::Unavailable { .. }) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                begun => return begun,
            }
        }
    }

    /// Returns what statements that only read are executed on.
    fn read(&self) -> On<'_> {
        self.store.read()
    }

    /// Returns what single statements that write are executed on.
    fn write(&self) -> On<'_> {
        self.store.write()
    }

    /// Returns the database's time.
    async fn now_ms(&self) -> Result<i64, Error> {
        self.store.now_ms(&self.clock, self.read()).await
    }
}

#[cfg(test)]
mod tests;
