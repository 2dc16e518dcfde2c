//! Leases: what a build uses stays while the build lives, whatever a collection thinks of it (R7).
//!
//! A lease is a file that its process holds locked and to which it appends a digest *before* it looks whether the blob is
//! there. A collection has the store to itself while it decides and removes; it spares what any living lease names.

use crate::Error;
use registry_client::Digest;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::TempPath;

/// Blobs in use; they may be collected when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Held locked: a lease whose lock is free has no owner.
    file: File,
    _path: TempPath,
    turn: PathBuf,
    held: Mutex<HashSet<Digest>>,
}

impl Lease {
    /// Starts a lease on nothing.
    pub(crate) fn new(root: &Path) -> Result<Lease, Error> {
        let directory = root.join(LEASES);
        let turn = Turn::shared(&root.join(TURN))?;
        let file =
            tempfile::NamedTempFile::new_in(&directory).map_err(Error::file("creating a file in", &directory))?;
        file.as_file().lock().map_err(Error::file("locking", file.path()))?;
        drop(turn);
        let (file, path) = file.into_parts();
        Ok(Lease { file, _path: path, turn: root.join(TURN), held: Mutex::default() })
    }

    /// Makes sure that the blob stays, if it is there; to be called before looking.
    pub(crate) fn hold(&self, digest: &Digest) -> Result<(), Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains(digest) {
            return Ok(());
        }
        let _turn = Turn::shared(&self.turn)?;
        (&self.file).write_all(format!("{digest}\n").as_bytes()).map_err(Error::file("writing", &self.turn))?;
        held.insert(digest.clone());
        Ok(())
    }
}

/// Directory of the leases.
pub(crate) const LEASES: &str = "leases";
/// File whose lock says whose turn it is: that of any number of users, or that of one collection.
pub(crate) const TURN: &str = "turn.lock";

/// A turn, until it is dropped.
pub(crate) struct Turn(#[expect(dead_code, reason = "its lock is what counts")] File);

impl Turn {
    fn open(path: &Path) -> Result<File, Error> {
        OpenOptions::new().create(true).append(true).open(path).map_err(Error::file("opening", path))
    }

    /// Waits until no collection has its turn.
    pub(crate) fn shared(path: &Path) -> Result<Turn, Error> {
        let file = Turn::open(path)?;
        file.lock_shared().map_err(Error::file("locking", path))?;
        Ok(Turn(file))
    }

    /// Waits until no other process has a turn.
    pub(crate) fn alone(path: &Path) -> Result<Turn, Error> {
        let file = Turn::open(path)?;
        file.lock().map_err(Error::file("locking", path))?;
        Ok(Turn(file))
    }
}

/// Returns what living leases name; the files of dead ones are removed.
pub(crate) fn leased(root: &Path) -> Result<HashSet<Digest>, Error> {
    let directory = root.join(LEASES);
    let entries = fs::read_dir(&directory).map_err(Error::file("reading", &directory))?;
    let mut leased = HashSet::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() {
            // Its process is gone.
            let _ = fs::remove_file(&path);
            continue;
        }
        let text = fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
        leased.extend(text.lines().filter_map(|line| line.parse().ok()));
    }
    Ok(leased)
}
