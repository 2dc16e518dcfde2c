//! Notes: small texts beside the blobs that they are about; their writers can do without them.
//!
//! They are not synced, so each begins with its digest: one that a power loss cut short is as if it were
//! not there. An empty one that was taken at its word could make two things look the same.

use crate::files::read_if_there;
use crate::{Error, Store};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Bytes of the digest that a note begins with.
const DIGEST: usize = 32;

impl Store {
    /// Keeps `bytes` as the note `name` of the kind `kind`; one that is there is replaced.
    pub fn put_note(&self, kind: &str, name: &[u8], bytes: &[u8]) -> Result<(), Error> {
        let path = self.note_path(kind, name);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(Error::file("creating", directory))?;
        }
        self.write_file(&path, &[Sha256::digest(bytes).as_slice(), bytes].concat())
    }

    /// Returns the note `name` of the kind `kind`, if it is there as it was written.
    pub fn note(&self, kind: &str, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let stored = read_if_there(&self.note_path(kind, name))?;
        Ok(stored.and_then(|stored| {
            let (digest, bytes) = stored.split_at_checked(DIGEST)?;
            (Sha256::digest(bytes).as_slice() == digest).then(|| bytes.to_vec())
        }))
    }

    /// Removes the notes of a kind that were written so long ago; returns how many.
    pub fn forget_notes(&self, kind: &str, min_age: Duration) -> Result<usize, Error> {
        let directory = self.root().join("notes").join(kind);
        let (mut forgotten, now) = (0, SystemTime::now());
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let written = entry.metadata().and_then(|known| known.modified()).unwrap_or(now);
            if now.duration_since(written).is_ok_and(|age| age >= min_age) {
                std::fs::remove_file(entry.path()).map_err(Error::file("removing", &entry.path()))?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    /// Names are anything, so their hash is the file's name.
    fn note_path(&self, kind: &str, name: &[u8]) -> PathBuf {
        self.root().join("notes").join(kind).join(hex::encode(Sha256::digest(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_kinds_are_apart() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.note("downloads", b"../x").unwrap(), None);
        store.put_note("downloads", b"../x", b"one").unwrap();
        store.put_note("downloads", b"../x", b"two").unwrap();
        assert_eq!(store.note("downloads", b"../x").unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(store.note("others", b"../x").unwrap(), None);
        assert_eq!(store.forget_notes("downloads", Duration::from_secs(60)).unwrap(), 0);
        assert_eq!(store.forget_notes("downloads", Duration::ZERO).unwrap(), 1);
        assert_eq!(store.note("downloads", b"../x").unwrap(), None);
    }

    #[test]
    fn a_note_that_was_cut_short_is_none() {
        // ST-04: a power loss leaves a file that was renamed, and nothing or a part of what was written to it.
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        store.put_note("selections", b"x", b"a key").unwrap();
        let path = store.note_path("selections", b"x");
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(store.note("selections", b"x").unwrap(), None, "{length} bytes");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(store.note("selections", b"x").unwrap().as_deref(), Some(&b"a key"[..]));
    }
}
