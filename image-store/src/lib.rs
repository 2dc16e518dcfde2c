//! Blobs by digest, tags, layer indexes, garbage collection: one content store for builds, pulls and the registry.
//!
//! Several processes use the same directory at once: whatever becomes visible becomes so by a rename.
#![forbid(unsafe_code)]

mod check;
mod contents;
mod lease;
mod notes;
mod proof;
mod tags;
mod writer;

pub use check::{Collected, Report};
pub use contents::Part;
pub use writer::{BlobWriter, Written};

use lease::{LEASES, Lease, TURN, Turn};
use registry_client::{DiffId, Digest};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Temporary files that old belong to nobody any more.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Something could not be read from or written to the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("{doing} `{path}`")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A blob is not there.
    #[error("blob {0} is not in the store")]
    Missing(Digest),
    /// Bytes are not those of their digest.
    #[error("digest mismatch: {expected} was expected, the bytes are {found}")]
    Mismatch {
        /// What it should have been.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A blob is larger than its reader wants.
    #[error("blob {0} is larger than {1} bytes")]
    TooLarge(Digest, u64),
    /// A name cannot be a repository or tag.
    #[error("`{0}` is no name of a repository or tag")]
    Name(String),
    /// A document in the store cannot be read.
    #[error("`{0}` in the store is damaged")]
    Damaged(String),
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.display().to_string();
        move |cause| Error::File { doing, path, cause }
    }
}

/// The store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<PathBuf>,
    key: Arc<proof::Key>,
    lease: Option<Arc<Lease>>,
}

impl Store {
    /// Opens the store in `root`, which is created if it is missing, readable by its owner only.
    pub fn open(root: &Path) -> Result<Self, Error> {
        for part in ["blobs/sha256", "indexes", "tags", "kept", "tmp", LEASES, "quarantine"] {
            let path = root.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(Error::file("creating", &path))?;
        }
        let store = Store { root: Arc::new(root.to_owned()), key: Arc::new(proof::Key::open(root)?), lease: None };
        store.take_over()?;
        store.sweep();
        Ok(store)
    }

    /// Returns the same store for somebody whose blobs must stay: whatever is looked for, read or written through the
    /// returned value is not collected while it or a clone of it lives.
    pub fn leased(&self) -> Result<Store, Error> {
        Ok(Store { root: self.root.clone(), key: self.key.clone(), lease: Some(Arc::new(Lease::new(self)?)) })
    }

    /// Makes sure that a blob stays, if whoever asks has a lease.
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

    /// Starts a blob; it becomes visible when it is committed, and never if it is dropped before.
    pub fn writer(&self) -> Result<BlobWriter, Error> {
        BlobWriter::new(self.clone())
    }

    /// Stores `bytes`, a document, as a blob; it is durable when this returns.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        // A document is never visible before it is durable, so one that is there needs nothing more.
        if self.size(&digest) != Some(bytes.len() as u64) {
            let mut writer = self.writer()?;
            io::Write::write_all(&mut writer, bytes).map_err(Error::file("writing", &self.temporary()))?;
            writer.sync()?;
            writer.commit_expecting(&digest)?;
            sync_directory(&self.root.join("blobs/sha256"))?;
        }
        Ok(digest)
    }

    /// Tells whether the blob is here.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.size(digest).is_some()
    }

    /// Returns the blob's size, or `None` if it is not here.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        // What cannot be held may go at any moment: it is as if it were not there.
        self.hold(digest).ok()?;
        fs::metadata(self.path(digest)).ok().map(|known| known.len())
    }

    /// Tells whether the blob is here and makes it young: whoever is told so has time to refer to it.
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
        match Digest::of(&bytes) {
            found if found == *digest => Ok(bytes),
            found => {
                self.check_blob(digest)?;
                Err(Error::Mismatch { expected: digest.clone(), found })
            }
        }
    }

    /// Returns where the blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
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
        sync_directory(&self.root.join("blobs/sha256"))
    }

    /// Stores the index of a layer.
    pub fn put_index(&self, layer: &DiffId, bytes: &[u8]) -> Result<(), Error> {
        self.write_file(&self.root.join("indexes").join(layer.hex()), bytes)
    }

    /// Returns the index of a layer, or `None` if nobody stored it.
    pub fn index(&self, layer: &DiffId) -> Result<Option<Vec<u8>>, Error> {
        read_if_there(&self.root.join("indexes").join(layer.hex()))
    }

    /// Returns the file whose lock is held while names of kept images are read and changed.
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

pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(Error::file("syncing", path))
}

pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("reading", path)(error)),
    }
}

/// Tells whether `at` is longer ago than `age`; a clock that went back makes nothing old.
pub(crate) fn is_older(at: SystemTime, age: Duration) -> bool {
    at.elapsed().is_ok_and(|elapsed| elapsed > age)
}

#[cfg(test)]
mod tests;
