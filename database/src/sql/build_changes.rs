//! Changes of builds: wakes those who watch a build when its row may have changed, whichever process changed it.
//!
//! PostgreSQL announces each change. A SQLite file does not, so the time of its write-ahead log is polled, for all watchers
//! at once and only while there are some; one query then tells which of the watched builds have another version.

use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::sql::connect::Store;
use crate::sql::statement::sql;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// How often the write-ahead log is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long to wait before a database that was unavailable is asked again.
const ERROR_BACKOFF: Duration = Duration::from_secs(1);
/// How exact the time of a file is at least: two writes within it may leave the same time.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_millis(50);
/// Builds that one query asks for.
const MAX_BATCH: usize = 500;

/// The builds that somebody watches in this process.
#[derive(Debug, Default)]
pub struct BuildChanges {
    watched: Arc<Watched>,
    poller: OnceLock<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Watched {
    builds: Mutex<HashMap<BuildId, Watchers>>,
    /// Wakes the poller, which sleeps while nobody watches.
    subscribed: Notify,
}

#[derive(Debug)]
struct Watchers {
    sender: watch::Sender<()>,
    /// Version of the build's row when it was polled last.
    version: Option<i64>,
}

/// A watch on one build, from [`crate::Database::watch_build`] until it is dropped.
#[derive(Debug)]
pub struct BuildWatch {
    build: BuildId,
    receiver: watch::Receiver<()>,
    watched: Arc<Watched>,
}

impl BuildWatch {
    /// Waits until the build's state, steps or log may have changed since the last call, or since the watch began.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for BuildWatch {
    fn drop(&mut self) {
        let mut builds = self.watched.locked();
        if builds.get(&self.build).is_some_and(|watchers| watchers.sender.receiver_count() <= 1) {
            builds.remove(&self.build);
        }
    }
}

impl BuildChanges {
    /// Begins to watch a build.
    pub fn watch(&self, store: &Store, build: &BuildId) -> BuildWatch {
        if let Store::Sqlite { file, .. } = store {
            self.poller.get_or_init(|| tokio::spawn(poll(store.clone(), log_of(file), self.watched.clone())));
        }
        let mut builds = self.watched.locked();
        let watchers =
            builds.entry(build.clone()).or_insert_with(|| Watchers { sender: watch::channel(()).0, version: None });
        let receiver = watchers.sender.subscribe();
        drop(builds);
        self.watched.subscribed.notify_one();
        BuildWatch { build: build.clone(), receiver, watched: self.watched.clone() }
    }

    /// Wakes those who watch a build.
    pub fn mark(&self, build: &str) {
        if let Some(build) = BuildId::parse(build)
            && let Some(watchers) = self.watched.locked().get(&build)
        {
            watchers.sender.send_replace(());
        }
    }

    /// Wakes all watchers: changes may have been missed.
    pub fn mark_all(&self) {
        for watchers in self.watched.locked().values() {
            watchers.sender.send_replace(());
        }
    }
}

impl Drop for BuildChanges {
    fn drop(&mut self) {
        if let Some(poller) = self.poller.get() {
            poller.abort();
        }
    }
}

impl Watched {
    fn locked(&self) -> MutexGuard<'_, HashMap<BuildId, Watchers>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares the versions of the watched builds with those of the last call and wakes whose build has another one. A build
    /// that was never compared counts as changed.
    async fn compare(&self, store: &Store) -> Result<(), Error> {
        let builds: Vec<BuildId> = self.locked().keys().cloned().collect();
        for batch in builds.chunks(MAX_BATCH) {
            let places: Vec<_> = (1..=batch.len()).map(|place| format!("${place}")).collect();
            let text = format!("SELECT id, version FROM builds WHERE id IN ({})", places.join(", "));
            let statement = sql("reading the versions of builds", text);
            let statement = batch.iter().fold(statement, |statement, build| statement.bind(build.as_str()));
            let mut found: HashMap<String, i64> = HashMap::new();
            for row in statement.all(store.read()).await? {
                found.insert(row.get(0)?, row.get(1)?);
            }
            let mut watched = self.locked();
            for build in batch {
                // A removed build has version 0: its watchers are woken once.
                let version = Some(found.get(build.as_str()).copied().unwrap_or(0));
                if let Some(watchers) = watched.get_mut(build)
                    && watchers.version != version
                {
                    watchers.version = version;
                    watchers.sender.send_replace(());
                }
            }
        }
        Ok(())
    }
}

/// Polls the write-ahead log of a file while somebody watches a build.
async fn poll(store: Store, log: PathBuf, watched: Arc<Watched>) {
    let mut seen = FileState::default();
    loop {
        if watched.locked().is_empty() {
            watched.subscribed.notified().await;
            continue;
        }
        let state = FileState::of(&log);
        if state == seen && !seen.is_fresh {
            tokio::time::sleep(POLL_INTERVAL).await;
            continue;
        }
        match watched.compare(&store).await {
            Ok(()) => {
                seen = state;
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "cannot read which builds changed");
                tokio::time::sleep(ERROR_BACKOFF).await;
            }
        }
    }
}

/// Time and length of a file: another pair tells that it was written to.
#[derive(Debug, Clone, Copy, Default)]
struct FileState {
    modified: Option<SystemTime>,
    length: u64,
    /// Whether a later write may leave the same time.
    is_fresh: bool,
}

impl PartialEq for FileState {
    fn eq(&self, other: &Self) -> bool {
        (self.modified, self.length) == (other.modified, other.length)
    }
}

impl FileState {
    fn of(file: &Path) -> Self {
        let Ok(metadata) = std::fs::metadata(file) else { return FileState::default() };
        let modified = metadata.modified().ok();
        // A time in the future is that of a clock that was set back: it says nothing, so the file counts as just written.
        let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        let is_fresh = age.is_none_or(|age| age < TIMESTAMP_GRANULARITY);
        FileState { modified, length: metadata.len(), is_fresh }
    }
}

/// Returns the path of a file's write-ahead log.
pub fn log_of(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}
