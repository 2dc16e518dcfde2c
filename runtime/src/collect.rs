//! Collects garbage: snapshots and caches that were not used for long, or that a crash of the machine makes doubtful.

use crate::last_used::LastUsed;
use crate::process::SWEEPER;
use crate::unique::unique;
use crate::{Error, Sandbox, Settings, SnapshotId};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Snapshots that are removed in one request; the rest follows in the next.
const MAX_BATCH: usize = 1000;

/// Removes snapshots and the content of caches that no step has used for `min_age`; returns how many snapshots.
pub fn collect(settings: &Settings, min_age: Duration) -> Result<usize, Error> {
    let before = SystemTime::now().checked_sub(min_age).unwrap_or(UNIX_EPOCH);
    let usage = LastUsed::beside(&settings.state);
    let failed = Error::system("looking for unused snapshots");
    let (lock, unused) = (usage.lock(), |usage: &LastUsed| unused(&settings.state, usage, before));
    let lock = lock.and_then(|lock| lock.lock().map(|()| lock)).map_err(failed)?;
    let snapshots = unused(&usage);
    let sandbox = Sandbox::start(settings, &format!("{SWEEPER}{}", unique()))?;
    let before = before.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    sandbox.evict(&snapshots, 0..before, || drop(lock))?;
    snapshots.iter().for_each(|id| drop(fs::remove_file(usage.note(id))));
    Ok(snapshots.len())
}

/// Removes snapshots that were made, and the content of caches that were used, within `doubtful` before the last of them;
/// returns how many snapshots.
///
/// For the time after the machine went down: nobody waits until what is in them is on disk, so files of the last ones may
/// be empty. Nobody may be using them.
pub fn evict_unsynced(settings: &Settings, doubtful: Duration) -> Result<usize, Error> {
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
    for some in snapshots.chunks(MAX_BATCH) {
        sandbox.evict(some, 0..0, || ())?;
    }
    sandbox.evict(&[], since..u64::MAX, || ())?;
    Ok(snapshots.len())
}

/// Returns the directories of the layers that containers lie on, running or not.
fn held_by_containers(state: &Path) -> HashSet<String> {
    let containers = fs::read_dir(state.join("r")).into_iter().flatten().flatten();
    let layers = containers.filter_map(|container| fs::read_to_string(container.path().join("layers")).ok());
    layers.flat_map(|layers| layers.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn unused(state: &Path, usage: &LastUsed, before: SystemTime) -> Vec<SnapshotId> {
    let (mut unused, held) = (Vec::new(), held_by_containers(state));
    for entry in fs::read_dir(state.join("s")).into_iter().flatten().flatten() {
        let Ok(id) = SnapshotId::new(&entry.file_name().to_string_lossy()) else { continue };
        if held.contains(&id.directory()) {
            continue;
        }
        if entry.metadata().is_ok_and(|made| made.is_dir() && usage.last(&id, &made) < before) {
            unused.push(id);
        }
    }
    unused.truncate(MAX_BATCH);
    unused
}
