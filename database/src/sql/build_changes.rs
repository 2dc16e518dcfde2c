//! Changes of builds: wakes those who watch a build when its row may have changed, whichever process changed it.
//!
//! PostgreSQL announces each change. A SQLite file does not, so the header of its index of the write-ahead log is polled, for
//! all watchers at once and only while there are some; one query then tells which of the watched builds have another version.

use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::sql::connect::Store;
use crate::sql::statement::sql;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// How often the header of the index is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long to wait before a database that was unavailable is asked again.
const ERROR_BACKOFF: Duration = Duration::from_secs(1);
/// Bytes of the header. SQLite changes them with every commit, as soon as it can be read; the time of the log itself changes
/// before its fsync, when nobody sees the commit yet.
const HEADER: usize = 48;
/// Builds that one query asks for.
const MAX_BATCH: usize = 500;

/// The builds that somebody watches in this process.
#[derive(Debug, Default)]
pub(crate) struct BuildChanges {
    watched: Arc<Watched>,
    poller: OnceLock<JoinHandle<()>>,
}

#[derive(Debug)]
struct Watched {
    builds: Mutex<HashMap<BuildId, Watchers>>,
    /// Wakes those who watch all builds.
    any: watch::Sender<()>,
    /// Wakes the poller, which sleeps while nobody watches.
    subscribed: Notify,
}

impl Default for Watched {
    fn default() -> Self {
        Watched { builds: Mutex::default(), any: watch::channel(()).0, subscribed: Notify::new() }
    }
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

/// A watch on all builds, from [`crate::Database::watch_builds`] until it is dropped.
#[derive(Debug)]
pub struct BuildsWatch(watch::Receiver<()>);

impl BuildsWatch {
    /// Waits until a build, the queue or something else in the database may have changed since the last call.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl BuildsWatch {
    /// Tells whether something may have changed since the last call, or since [`BuildsWatch::changed`] ended.
    pub fn has_changed(&mut self) -> bool {
        let has_changed = self.0.has_changed().unwrap_or(false);
        self.0.mark_unchanged();
        has_changed
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
    /// Begins to watch all builds.
    pub(crate) fn watch_all(&self, store: &Store) -> BuildsWatch {
        self.start(store);
        let receiver = self.watched.any.subscribe();
        self.watched.subscribed.notify_one();
        BuildsWatch(receiver)
    }

    fn start(&self, store: &Store) {
        if let Store::Sqlite { file, .. } = store {
            self.poller.get_or_init(|| tokio::spawn(poll(store.clone(), index_of(file), self.watched.clone())));
        }
    }

    /// Begins to watch a build.
    pub(crate) fn watch(&self, store: &Store, build: &BuildId) -> BuildWatch {
        self.start(store);
        let mut builds = self.watched.locked();
        let watchers =
            builds.entry(build.clone()).or_insert_with(|| Watchers { sender: watch::channel(()).0, version: None });
        let receiver = watchers.sender.subscribe();
        drop(builds);
        self.watched.subscribed.notify_one();
        BuildWatch { build: build.clone(), receiver, watched: self.watched.clone() }
    }

    /// Wakes those who watch a build, or all.
    pub(crate) fn mark(&self, build: &str) {
        self.watched.any.send_replace(());
        if let Some(build) = BuildId::parse(build)
            && let Some(watchers) = self.watched.locked().get(&build)
        {
            watchers.sender.send_replace(());
        }
    }

    /// Wakes those who watch all builds: there may be a new one.
    pub(crate) fn mark_new(&self) {
        self.watched.any.send_replace(());
    }

    /// Wakes all watchers: changes may have been missed.
    pub(crate) fn mark_all(&self) {
        self.watched.any.send_replace(());
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
                found.insert(row.get("id")?, row.get("version")?);
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

/// Polls the header of a file's index of the write-ahead log while somebody watches a build.
async fn poll(store: Store, index: PathBuf, watched: Arc<Watched>) {
    let mut seen = None;
    loop {
        if watched.locked().is_empty() && watched.any.receiver_count() == 0 {
            watched.subscribed.notified().await;
            continue;
        }
        // A header that is written meanwhile only costs one comparison more; one that cannot be read says nothing.
        let header = header_of(&index);
        if header.is_some() && header == seen {
            tokio::time::sleep(POLL_INTERVAL).await;
            continue;
        }
        match watched.compare(&store).await {
            Ok(()) => {
                seen = header;
                watched.any.send_replace(());
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "cannot read which builds changed");
                tokio::time::sleep(ERROR_BACKOFF).await;
            }
        }
    }
}

/// Indexes that were opened, by device and inode. They stay open for the life of the process: closing a file gives up every
/// lock that the process has on it, and SQLite's own locks are among them.
static INDEXES: Mutex<BTreeMap<FileId, &'static File>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

fn header_of(index: &Path) -> Option<[u8; HEADER]> {
    let mut header = [0; HEADER];
    opened(index).and_then(|file| file.read_exact_at(&mut header, 0)).ok()?;
    Some(header)
}

/// Opens an index, or returns the file that was opened before.
fn opened(index: &Path) -> io::Result<&'static File> {
    let mut indexes = INDEXES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = indexes.get(&FileId::of(&std::fs::metadata(index)?)) {
        return Ok(file);
    }
    let file: &File = Box::leak(Box::new(File::open(index)?));
    // The path may name another file by now, even one that is open already.
    indexes.insert(FileId::of(&file.metadata()?), file);
    Ok(file)
}

/// Returns the path of a file's index of its write-ahead log.
fn index_of(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push("-shm");
    path.into()
}

/// Returns the path of a file's write-ahead log.
pub(crate) fn log_of(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use sqlx::{ConnectOptions, Connection};

    #[tokio::test]
    async fn a_header_changes_once_a_commit_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let mut writer = options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
        sqlx::query("CREATE TABLE t (v INTEGER)").execute(&mut writer).await.unwrap();
        let before = header_of(&index_of(&file)).unwrap();
        let mut transaction = writer.begin().await.unwrap();
        sqlx::query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await.unwrap();
        assert_eq!(header_of(&index_of(&file)), Some(before), "nothing can be read yet");
        transaction.commit().await.unwrap();
        let committed = header_of(&index_of(&file)).unwrap();
        assert_ne!(committed, before);
        for checkpoint in ["PRAGMA wal_checkpoint(TRUNCATE)", "INSERT INTO t VALUES (2)"] {
            sqlx::query(checkpoint).execute(&mut writer).await.unwrap();
        }
        assert_ne!(header_of(&index_of(&file)), Some(committed));
    }
}
