//! Housekeeping of mirrors: large ones are emptied, unused ones removed.

use super::mirror::Mirror;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Packs of a mirror, one for each fetch, above which reading it is slower than fetching again.
const MAX_PACKS: usize = 100;

impl Mirror {
    /// Says that the mirror is used now; it stays as it is while the file is held.
    pub(super) fn hold(&self) -> io::Result<File> {
        let file = note(self.path())?;
        file.lock_shared()?;
        Ok(file)
    }

    /// Empties a mirror of many packs, unless somebody reads it; no fetch into it may be running.
    pub(super) fn renew(&self) -> io::Result<()> {
        let packs = fs::read_dir(self.path().join("objects/pack")).into_iter().flatten().flatten();
        let packs = packs.filter(|entry| entry.path().extension().is_some_and(|end| end == "pack")).count();
        let used = note(self.path())?;
        if packs > MAX_PACKS && used.try_lock().is_ok() {
            fs::remove_dir_all(self.path())?;
            git2::Repository::init_bare(self.path()).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Opens the file whose time says when a mirror was used last; opening it sets that time.
fn note(mirror: &Path) -> io::Result<File> {
    File::create(mirror.with_extension("used"))
}

/// Removes the mirrors below `directory` that nobody has used for `min_age`; returns how many.
pub fn remove_unused(directory: &Path, min_age: Duration) -> io::Result<usize> {
    let before = SystemTime::now().checked_sub(min_age).unwrap_or(UNIX_EPOCH);
    remove(&notes(directory)?, |used| used < before)
}

/// Removes the mirrors below `directory` that were used within `doubtful` before the last of them; returns how many.
///
/// For the time after the machine went down: nobody waits until what was fetched is on disk, so packs of the last ones may
/// be cut short.
pub fn remove_last(directory: &Path, doubtful: Duration) -> io::Result<usize> {
    let notes = notes(directory)?;
    let used = notes.iter().filter_map(|note| fs::metadata(note).and_then(|known| known.modified()).ok());
    let since = used.max().and_then(|last| last.checked_sub(doubtful)).unwrap_or(UNIX_EPOCH);
    remove(&notes, |used| used >= since)
}

/// Returns the notes of all mirrors below `directory`.
fn notes(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut notes, mut waiting) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)?.flatten() {
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            match path.extension().and_then(|end| end.to_str()) {
                Some("used") => notes.push(path),
                None if is_directory => waiting.push(path),
                _ => {}
            }
        }
    }
    Ok(notes)
}

/// Removes the mirrors whose last use `goes`; returns how many.
fn remove(notes: &[PathBuf], goes: impl Fn(SystemTime) -> bool) -> io::Result<usize> {
    let mut removed = 0;
    for note in notes {
        let (mirror, file) = (note.with_extension("git"), File::open(note)?);
        let goes = |file: &File| Ok::<_, io::Error>(goes(file.metadata()?.modified()?));
        // A fetch between the check and the lock has set the time.
        if mirror.exists() && goes(&file)? && file.try_lock().is_ok() && goes(&file)? {
            fs::remove_dir_all(mirror)?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_that_were_used_last_go_after_a_start_of_the_machine() {
        // ST-04, RL4: however long the machine was off
        let directory = tempfile::tempdir().unwrap();
        let mirror = |name: &str, hours: u64| {
            let mirror = directory.path().join(name).with_extension("git");
            fs::create_dir(&mirror).unwrap();
            let used = SystemTime::now() - Duration::from_secs(hours * 3600);
            File::create(mirror.with_extension("used")).and_then(|note| note.set_modified(used)).unwrap();
            mirror
        };
        let (old, one, two, held) = (mirror("old", 60), mirror("one", 31), mirror("two", 30), mirror("held", 30));
        let reading = File::open(held.with_extension("used")).unwrap();
        reading.lock_shared().unwrap();
        assert_eq!(remove_last(directory.path(), Duration::from_secs(2 * 3600)).unwrap(), 2);
        assert!(old.exists() && held.exists() && !one.exists() && !two.exists());
    }
}
