//! When snapshots were used last, so that those can go which nobody has used for long.
//!
//! Only the sandbox's own ids may touch a snapshot, so the notes lie beside its state: one file each, whose time counts.

use crate::sandbox::SWEEPER;
use crate::unique::unique;
use crate::{Error, Sandbox, Settings, SnapshotId};
use std::collections::HashSet;
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Snapshots that are removed at once; what is left is for the next time.
const AT_ONCE: usize = 1000;

/// The notes of a state directory.
pub(crate) struct Usage {
    directory: PathBuf,
}

impl Usage {
    /// Returns the notes beside the state directory `state`.
    pub fn beside(state: &Path) -> Self {
        Usage { directory: state.with_file_name("used") }
    }

    /// Notes that `id` is used now, if `exists` says that it is there; nobody removes it meanwhile.
    pub fn mark(&self, id: &SnapshotId, exists: impl FnOnce() -> bool) -> bool {
        let held = self.lock().and_then(|lock| lock.lock_shared().map(|()| lock));
        let known = exists();
        if known && held.is_ok() {
            let now = FileTimes::new().set_modified(SystemTime::now());
            // Without a note the age of the snapshot counts.
            let _ = File::create(self.note(id)).and_then(|note| note.set_times(now));
        }
        known
    }

    fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(&self.directory)?;
        File::create(self.directory.join("lock"))
    }

    fn note(&self, id: &SnapshotId) -> PathBuf {
        self.directory.join(id.to_string().replace('/', "-"))
    }

    /// Returns when a snapshot was made or used last, whichever is later.
    fn last(&self, id: &SnapshotId, made: &fs::Metadata) -> SystemTime {
        // Renaming a snapshot to its name changes this time of it, and nothing else does.
        let made = UNIX_EPOCH + Duration::from_secs(u64::try_from(made.ctime()).unwrap_or(0));
        let used = fs::metadata(self.note(id)).and_then(|note| note.modified()).unwrap_or(UNIX_EPOCH);
        made.max(used)
    }
}

/// Notes that a snapshot is used now; tells whether it is on disk.
pub fn mark_used(settings: &Settings, id: &SnapshotId) -> bool {
    let exists = || settings.state.join(id.directory()).symlink_metadata().is_ok_and(|known| known.is_dir());
    Usage::beside(&settings.state).mark(id, exists)
}

/// Removes snapshots and the content of caches that no step has used for `min_age`; returns how many snapshots.
pub fn collect(settings: &Settings, min_age: Duration) -> Result<usize, Error> {
    let before = SystemTime::now().checked_sub(min_age).unwrap_or(UNIX_EPOCH);
    let usage = Usage::beside(&settings.state);
    let failed = Error::system("looking for snapshots that nobody uses");
    let (lock, unused) = (usage.lock(), |usage: &Usage| unused(&settings.state, usage, before));
    let lock = lock.and_then(|lock| lock.lock().map(|()| lock)).map_err(failed)?;
    let snapshots = unused(&usage);
    let sandbox = Sandbox::start(settings, &format!("{SWEEPER}{}", unique()))?;
    let before = before.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    sandbox.forget(&snapshots, 0..before, || drop(lock))?;
    snapshots.iter().for_each(|id| drop(fs::remove_file(usage.note(id))));
    Ok(snapshots.len())
}

/// Removes snapshots that were made, and the content of caches that were used, within `doubtful` before the last of them;
/// returns how many snapshots.
///
/// For the time after the machine went down: nobody waits until what is in them is on disk, so files of the last ones may
/// be empty. Nobody may be using them.
pub fn forget_last(settings: &Settings, doubtful: Duration) -> Result<usize, Error> {
    let state = &settings.state;
    let seconds = |known: io::Result<fs::Metadata>| known.map_or(0, |known| u64::try_from(known.ctime()).unwrap_or(0));
    let entries = |part: &str| fs::read_dir(state.join(part)).into_iter().flatten().flatten();
    let made: Vec<_> = entries("s")
        .filter_map(|entry| {
            Some((SnapshotId::new(&entry.file_name().to_string_lossy()).ok()?, seconds(entry.metadata())))
        })
        .collect();
    let caches = entries("c").map(|entry| seconds(entry.metadata()));
    let Some(last) = made.iter().map(|(_, made)| *made).chain(caches).max() else { return Ok(0) };
    let since = last.saturating_sub(doubtful.as_secs());
    let snapshots: Vec<_> = made.into_iter().filter(|(_, made)| *made >= since).map(|(id, _)| id).collect();
    let sandbox = Sandbox::start(settings, &format!("{SWEEPER}{}", unique()))?;
    for some in snapshots.chunks(AT_ONCE) {
        sandbox.forget(some, 0..0, || ())?;
    }
    sandbox.forget(&[], since..u64::MAX, || ())?;
    Ok(snapshots.len())
}

/// Returns the directories of the layers that containers lie on, running or not.
fn held_by_containers(state: &Path) -> HashSet<String> {
    let containers = fs::read_dir(state.join("r")).into_iter().flatten().flatten();
    let layers = containers.filter_map(|container| fs::read_to_string(container.path().join("layers")).ok());
    layers.flat_map(|layers| layers.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn unused(state: &Path, usage: &Usage, before: SystemTime) -> Vec<SnapshotId> {
    let mut unused = Vec::new();
    let held = held_by_containers(state);
    for entry in fs::read_dir(state.join("s")).into_iter().flatten().flatten() {
        let Ok(id) = SnapshotId::new(&entry.file_name().to_string_lossy()) else { continue };
        if held.contains(&id.directory()) {
            continue;
        }
        if entry.metadata().is_ok_and(|made| made.is_dir() && usage.last(&id, &made) < before) {
            unused.push(id);
        }
    }
    unused.truncate(AT_ONCE);
    unused
}
