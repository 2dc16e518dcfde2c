//! Contents that Git LFS servers gave, by their SHA-256: one copy for the whole machine.
//!
//! A content is somebody's only if a server gave it to them: who writes a pointer must not have, for that, what was fetched
//! with the login of another repository. Notes say who was given what.

use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// The store, seen by those who share what they were given.
#[derive(Debug, Clone)]
pub struct LfsStore {
    directory: PathBuf,
    sharers: String,
}

impl LfsStore {
    /// Opens the store in `directory` for `sharers`, a name of any form.
    pub fn new(directory: &Path, sharers: &str) -> Self {
        let sharers = blake3::hash(sharers.as_bytes()).to_hex()[..32].to_owned();
        LfsStore { directory: directory.to_owned(), sharers }
    }

    /// Opens a content that these sharers were given.
    pub(super) fn open(&self, object: &str) -> io::Result<File> {
        if object.len() != 64 {
            return Err(io::ErrorKind::NotFound.into());
        }
        File::open(self.note(object))?;
        let file = File::open(self.content(object))?;
        // Its time says when it was used last.
        let _ = file.set_modified(SystemTime::now());
        Ok(file)
    }

    /// Returns whether somebody was given the content.
    pub(super) fn has_content(&self, object: &str) -> bool {
        self.content(object).exists()
    }

    /// Notes that a server gave the content to these sharers.
    pub(super) fn give(&self, object: &str) -> io::Result<()> {
        let note = self.note(object);
        fs::create_dir_all(note.parent().unwrap_or(&note))?;
        File::create(note).map(drop)
    }

    /// Returns a file for a content that is on its way.
    pub(super) fn begin(&self) -> io::Result<Incoming> {
        let directory = self.directory.join("tmp");
        fs::create_dir_all(&directory)?;
        Ok(Incoming { file: NamedTempFile::new_in(directory)?, hash: Sha256::new(), size: 0 })
    }

    /// Takes a content that came, if it is the one of this name and size; tells what is wrong with it otherwise.
    pub(super) fn take(&self, incoming: Incoming, object: &str, size: u64) -> io::Result<Result<(), String>> {
        let found = hex::encode(incoming.hash.finalize());
        if (found.as_str(), incoming.size) != (object, size) {
            return Ok(Err(format!("what the server sends has {} bytes and the SHA-256 {found}", incoming.size)));
        }
        let content = self.content(object);
        fs::create_dir_all(content.parent().unwrap_or(&content))?;
        incoming.file.as_file().sync_data()?;
        incoming.file.persist(content).map_err(|error| error.error)?;
        self.give(object).map(Ok)
    }

    /// Returns the file that is locked by who fetches the content.
    pub(super) fn lock(&self, object: &str) -> io::Result<File> {
        let directory = self.directory.join("tmp");
        fs::create_dir_all(&directory)?;
        File::create(directory.join(format!("{}.lock", &object[..2])))
    }

    fn content(&self, object: &str) -> PathBuf {
        self.directory.join("objects").join(&object[..2]).join(object)
    }

    fn note(&self, object: &str) -> PathBuf {
        self.directory.join("given").join(&self.sharers).join(object)
    }
}

/// A content on its way into the store.
pub(super) struct Incoming {
    file: NamedTempFile,
    hash: Sha256,
    /// Bytes so far.
    pub size: u64,
}

impl Incoming {
    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        io::Write::write_all(&mut self.file, bytes)
    }
}

/// Removes what is in the store in `directory` and was not used for `min_age`; returns how many contents.
pub fn remove_unused_contents(directory: &Path, min_age: Duration) -> io::Result<usize> {
    let is_old = |path: &Path| {
        let used = fs::metadata(path).and_then(|known| known.modified());
        used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age >= min_age))
    };
    let mut removed = 0;
    for (below, counts) in [("objects", true), ("given", false)] {
        for group in fs::read_dir(directory.join(below)).into_iter().flatten().flatten() {
            for entry in fs::read_dir(group.path()).into_iter().flatten().flatten() {
                let path = entry.path();
                let object = entry.file_name().to_string_lossy().into_owned();
                // A note is of use as long as the content is there.
                let goes = match counts {
                    true => is_old(&path),
                    false => !directory.join("objects").join(object.get(..2).unwrap_or("")).join(&object).exists(),
                };
                if goes {
                    fs::remove_file(path)?;
                    removed += usize::from(counts);
                }
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_had_only_by_those_who_were_given_it() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (LfsStore::new(directory.path(), "one"), LfsStore::new(directory.path(), "other"));
        let object = hex::encode(Sha256::digest(b"content"));
        let incoming = |text: &[u8]| {
            let mut incoming = one.begin().unwrap();
            incoming.write(text).unwrap();
            incoming
        };
        assert!(one.take(incoming(b"another"), &object, 7).unwrap().unwrap_err().contains("SHA-256"));
        assert!(one.take(incoming(b"content"), &object, 8).unwrap().is_err() && !one.has_content(&object));
        one.take(incoming(b"content"), &object, 7).unwrap().unwrap();
        assert_eq!(io::read_to_string(one.open(&object).unwrap()).unwrap(), "content");
        assert!(other.has_content(&object) && other.open(&object).is_err());
        other.give(&object).unwrap();
        assert!(other.open(&object).is_ok());
        assert_eq!(remove_unused_contents(directory.path(), Duration::from_secs(60)).unwrap(), 0);
        assert_eq!(remove_unused_contents(directory.path(), Duration::ZERO).unwrap(), 1);
        assert!(one.open(&object).is_err() && !one.has_content(&object));
    }
}
