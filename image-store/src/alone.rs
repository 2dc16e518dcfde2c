//! Work that is done once: of all processes with the same store, one has the right to it, until it ends however it does.

use crate::{Error, Store};
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Directory of the files that are locked.
pub(crate) const WORK: &str = "work";
/// How many there are: work that shares one waits, though it need not.
const FILES: u64 = 256;

/// The right to a piece of work, until it is dropped.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "its lock is what counts")] File);

impl Store {
    /// Returns the right to the work `name`; `None` if another has it now.
    pub fn try_alone(&self, name: &str) -> Result<Option<Alone>, Error> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let path = self.root().join(WORK).join(format!("{:02x}", hasher.finish() % FILES));
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("opening", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Alone(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::file("locking", &path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_right_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let (store, other) = (Store::open(directory.path()).unwrap(), Store::open(directory.path()).unwrap());
        let first = store.try_alone("a layer").unwrap();
        assert!(first.is_some() && other.try_alone("a layer").unwrap().is_none());
        drop(first);
        assert!(other.try_alone("a layer").unwrap().is_some());
    }
}
