//! The state that every request handler shares.

use crate::configuration::Settings;
use crate::forges::Exchanges;
use crate::http::rate_limit::Limiter;
use crate::http::readiness::Readiness;
use crate::intake::catalog::Catalog;
use crate::intake::inbox::Inbox;
use crate::intake::known_ids::KnownIds;
use crate::pages::registry_images::RegistryImages;
use crate::people::People;
use database::Database;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use tokio::sync::Semaphore;

/// Maximum concurrent build comparisons, kept apart so that dry runs are not delayed.
const MAX_COMPARISONS: usize = 1;

/// State shared by all request handlers.
#[derive(Clone)]
pub(crate) struct Service {
    pub database: Database,
    pub settings: Arc<Settings>,
    pub catalog: Arc<Catalog>,
    pub limiter: Arc<Limiter>,
    pub readiness: Arc<Readiness>,
    pub counters: Arc<Counters>,
    pub inbox: Arc<Inbox>,
    pub known_ids: Arc<KnownIds>,
    pub exchanges: Exchanges,
    pub registry: Arc<dyn RegistryImages>,
    pub comparisons: Arc<Semaphore>,
    pub people: Arc<People>,
}

/// Counts of what this process has stored since it started.
#[derive(Default)]
pub(crate) struct Counters {
    pub deliveries: AtomicI64,
    pub triggers: AtomicI64,
}

impl Service {
    /// Returns the state of a new server. Long bodies are spooled to `spool` while they arrive.
    pub(crate) fn new(
        database: Database,
        settings: Settings,
        readiness: Arc<Readiness>,
        spool: PathBuf,
        exchanges: Exchanges,
        registry: Arc<dyn RegistryImages>,
    ) -> Service {
        Service {
            database,
            catalog: Arc::new(Catalog::new(&settings)),
            settings: Arc::new(settings),
            limiter: Arc::default(),
            readiness,
            counters: Arc::default(),
            inbox: Arc::new(Inbox::new(spool)),
            known_ids: Arc::default(),
            exchanges,
            registry,
            comparisons: Arc::new(Semaphore::new(MAX_COMPARISONS)),
            people: Arc::default(),
        }
    }
}
