//! When each snapshot was last used, which decides what is evicted.
//!
//! Only the sandbox's own ids may touch a snapshot, so the notes lie beside its state: one file each, whose time counts.

use crate::{Settings, SnapshotId};
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The notes of a state directory.
pub(crate) struct LastUsed {
    directory: PathBuf,
}

impl LastUsed {
    /// Returns the notes beside the state directory `state`.
    pub(crate) fn beside(state: &Path) -> Self {
        LastUsed { directory: state.with_file_name("used") }
    }

    /// Records that `id` is used now, if `exists` says that it is there; it cannot be removed meanwhile.
    pub(crate) fn mark(&self, id: &SnapshotId, exists: impl FnOnce() -> bool) -> bool {
        let held = self.lock().and_then(|lock| lock.lock_shared().map(|()| lock));
        let known = exists();
        if known && held.is_ok() {
            let now = FileTimes::new().set_modified(SystemTime::now());
            // Without a note the age of the snapshot counts.
            let _ = File::create(self.note(id)).and_then(|note| note.set_times(now));
        }
        known
    }

    /// Opens the file that collectors lock exclusively and users share.
    pub(crate) fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(&self.directory)?;
        File::create(self.directory.join("lock"))
    }

    /// Returns the file whose time says when `id` was used last.
    pub(crate) fn note(&self, id: &SnapshotId) -> PathBuf {
        self.directory.join(id.to_string().replace('/', "-"))
    }

    /// Returns when a snapshot was made or used last, whichever is later.
    pub(crate) fn last(&self, id: &SnapshotId, made: &fs::Metadata) -> SystemTime {
        // Renaming a snapshot to its name changes this time of it, and nothing else does.
        let made = UNIX_EPOCH + Duration::from_secs(u64::try_from(made.ctime()).unwrap_or(0));
        let used = fs::metadata(self.note(id)).and_then(|note| note.modified()).unwrap_or(UNIX_EPOCH);
        made.max(used)
    }
}

/// Notes that a snapshot is used now; tells whether it is on disk.
pub fn mark_used(settings: &Settings, id: &SnapshotId) -> bool {
    let exists = || settings.state.join(id.directory()).symlink_metadata().is_ok_and(|known| known.is_dir());
    LastUsed::beside(&settings.state).mark(id, exists)
}
