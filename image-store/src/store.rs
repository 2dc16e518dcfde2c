//! The store: blobs by digest and layer indexes, with leases on what is in use.

use crate::alone::WORK;
use crate::error::Error;
use crate::files::{is_older, read_if_there, sync_directory};
use crate::key::Key;
use crate::lease::{LEASES, Lease, TURN, Turn};
use registry_client::{Algorithm, DiffId, Digest};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Age at which a temporary file belongs to no living process.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<PathBuf>,
    pub(crate) key: Arc<Key>,
    lease: Option<Arc<Lease>>,
}

impl Store {
    /// Opens the store in `root`, which is created if it is missing, readable by its owner only.
    pub fn open(root: &Path) -> Result<Self, Error> {
        for part in ["blobs/sha256", "blobs/sha512", "indexes", "tags", "kept", "tmp", LEASES, WORK, "quarantine"] {
            let path = root.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(Error::file("creating", &path))?;
        }
        let store = Store { root: Arc::new(root.to_owned()), key: Arc::new(Key::open(root)?), lease: None };
        store.take_over()?;
        store.take_over_referrers()?;
        store.sweep();
        Ok(store)
    }

    /// Returns the same store with a lease: whatever is looked up, read or written through the
    /// returned value is not collected while it or a clone of it lives.
    pub fn leased(&self) -> Result<Store, Error> {
        Ok(Store { root: self.root.clone(), key: self.key.clone(), lease: Some(Arc::new(Lease::new(self.root())?)) })
    }

    /// Keeps a blob from being collected, if this handle has a lease.
    pub(crate) fn hold(&self, digest: &Digest) -> Result<(), Error> {
        self.lease.as_ref().map_or(Ok(()), |lease| lease.hold(digest))
    }

    /// Removes temporary files that a process left behind long ago.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.temporary()) else { return };
        for entry in entries.flatten() {
            let old = entry.metadata().and_then(|known| known.modified()).is_ok_and(|at| is_older(at, STALE));
            if old {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Returns whether the blob is here.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.size(digest).is_some()
    }

    /// Returns the blob's size, or `None` if it is not here.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        // A blob without a hold may go at any moment: it counts as missing.
        self.hold(digest).ok()?;
        fs::metadata(self.path(digest)).ok().map(|known| known.len())
    }

    /// Returns whether the blob is here and makes it young, so that the caller has time to refer to it.
    pub fn promise(&self, digest: &Digest) -> bool {
        let Ok(_turn) = Turn::shared(&self.root.join(TURN)) else { return false };
        File::open(self.path(digest)).and_then(|file| file.set_modified(SystemTime::now())).is_ok()
    }

    /// Opens a blob to be read.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, Error> {
        self.hold(digest)?;
        let path = self.path(digest);
        File::open(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => Error::Missing(digest.clone()),
            _ => Error::file("opening", &path)(cause),
        })
    }

    /// Returns the whole blob, checked against its digest; at most `limit` bytes. One that is damaged is put aside.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let path = self.path(digest);
        self.open_blob(digest)?.take(limit + 1).read_to_end(&mut bytes).map_err(Error::file("reading", &path))?;
        if bytes.len() as u64 > limit {
            return Err(Error::TooLarge(digest.clone(), limit));
        }
        match Digest::with(digest.algorithm(), &bytes) {
            found if found == *digest => Ok(bytes),
            found => {
                self.check_blob(digest)?;
                Err(Error::Mismatch { expected: digest.clone(), found })
            }
        }
    }

    /// Returns where the blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs(digest.algorithm()).join(digest.hex())
    }

    /// Returns the directory of the blobs with digests by an algorithm.
    pub(crate) fn blobs(&self, algorithm: Algorithm) -> PathBuf {
        self.root.join("blobs").join(algorithm.as_str())
    }

    /// Makes blobs durable: called before something that survives a crash refers to them.
    ///
    /// One that cannot be is removed: the kernel may have dropped what it could not write, and a second try would find
    /// nothing left to write and succeed.
    pub fn sync(&self, digests: &[Digest]) -> Result<(), Error> {
        for digest in digests {
            let path = self.path(digest);
            if let Err(error) = self.open_blob(digest)?.sync_data() {
                tracing::error!(blob = %digest, %error, "a blob cannot be made durable; it is removed");
                fs::remove_file(&path).map_err(Error::file("removing", &path))?;
                return Err(Error::file("syncing", &path)(error));
            }
        }
        for algorithm in Algorithm::ALL {
            if algorithm == Algorithm::default() || digests.iter().any(|digest| digest.algorithm() == algorithm) {
                sync_directory(&self.blobs(algorithm))?;
            }
        }
        Ok(())
    }

    /// Stores the index of a layer.
    pub fn put_index(&self, layer: &DiffId, bytes: &[u8]) -> Result<(), Error> {
        self.write_file(&self.root.join("indexes").join(layer.hex()), bytes)
    }

    /// Returns the index of a layer, or `None` if it was never stored.
    pub fn index(&self, layer: &DiffId) -> Result<Option<Vec<u8>>, Error> {
        read_if_there(&self.root.join("indexes").join(layer.hex()))
    }

    /// Returns whether the index of a layer was stored.
    pub fn has_index(&self, layer: &DiffId) -> bool {
        self.root.join("indexes").join(layer.hex()).exists()
    }

    /// Returns the file whose lock is held while names of local images are read and changed.
    pub fn names_lock(&self) -> PathBuf {
        self.root.join("names.lock")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a small file so that others see it whole or not at all; a power loss may leave it empty.
    pub(crate) fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        self.temporary_file(path, bytes)?
            .persist(path)
            .map_err(|error| Error::file("renaming to", path)(error.error))?;
        Ok(())
    }

    /// Writes a small file so that it is whole or not there whatever happens; it stays once its directory is synced.
    pub(crate) fn write_durable_file(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let file = self.temporary_file(path, bytes)?;
        file.as_file().sync_data().map_err(Error::file("syncing", path))?;
        file.persist(path).map_err(|error| Error::file("renaming to", path)(error.error))?;
        Ok(())
    }

    fn temporary_file(&self, path: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile, Error> {
        let mut file = tempfile::NamedTempFile::new_in(self.temporary())
            .map_err(Error::file("creating a file in", &self.temporary()))?;
        io::Write::write_all(&mut file, bytes).map_err(Error::file("writing", path))?;
        Ok(file)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
