//! Mirrors that grew or that nobody reads any more: made anew, removed.

use super::Mirror;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Packs of a mirror, one for each fetch, above which it is slower to read than to fetch anew.
const MAX_PACKS: usize = 100;

impl Mirror {
    /// Says that the mirror is used now; it stays as it is while the file is held.
    pub(super) fn hold(&self) -> io::Result<File> {
        let file = note(self.path())?;
        file.lock_shared()?;
        Ok(file)
    }

    /// Empties a mirror of many packs, unless somebody reads it; nobody may be fetching into it.
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
    let (mut removed, mut waiting) = (0, vec![directory.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)?.flatten() {
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            match path.extension().and_then(|end| end.to_str()) {
                Some("used") => removed += usize::from(remove_if_unused(&path, before)?),
                None if is_directory => waiting.push(path),
                _ => {}
            }
        }
    }
    Ok(removed)
}

fn remove_if_unused(note: &PathBuf, before: SystemTime) -> io::Result<bool> {
    let mirror = note.with_extension("git");
    let file = File::open(note)?;
    let old = |file: &File| Ok::<_, io::Error>(file.metadata()?.modified()? < before);
    // Whoever came between looking and locking has set the time.
    if !mirror.exists() || !old(&file)? || file.try_lock().is_err() || !old(&file)? {
        return Ok(false);
    }
    fs::remove_dir_all(mirror).map(|()| true)
}
