//! Evicts snapshots, and the content of caches that were last used within a range of time.

use super::remove;
use crate::SnapshotId;
use crate::error::HelperError;
use crate::protocol::{Answer, Conversation};
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

/// Removes `snapshots` and the content of caches that were used last within the seconds `used`.
///
/// Answers twice: when they are out of reach, and when they are removed.
pub(crate) fn serve(
    conversation: &mut Conversation,
    work: &str,
    snapshots: &[SnapshotId],
    used: &Range<u64>,
) -> io::Result<()> {
    let away = |number: usize| format!("{work}/gone-{number}");
    for (number, id) in snapshots.iter().enumerate() {
        // One that is already gone is fine.
        let _ = fs::rename(id.directory(), away(number));
    }
    conversation.send_value(&Answer::Ok(()))?;
    let removed = (0..snapshots.len())
        .try_for_each(|number| remove::tree(&away(number)))
        .and_then(|()| caches(used))
        .map_err(HelperError::inside("evicting unused data"));
    conversation.send_value(&removed)
}

fn caches(within: &Range<u64>) -> io::Result<()> {
    for entry in fs::read_dir("c")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(cache) = name.strip_suffix(".lock") else { continue };
        let lock = fs::File::open(entry.path())?;
        // Every use of a cache creates its lock again, which sets the lock's time; the lock itself stays for those that wait.
        let used = |lock: &fs::File| lock.metadata().map_or(u64::MAX, |known| known.mtime().unsigned_abs());
        if within.contains(&used(&lock)) && lock.try_lock().is_ok() && within.contains(&used(&lock)) {
            remove::tree(&format!("c/{cache}"))?;
        }
    }
    Ok(())
}
