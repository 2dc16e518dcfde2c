//! Blobs on their way into the store: hashed as they are written, visible by a rename.

use crate::check::hash_of;
use crate::files::sync_directory;
use crate::{Error, Store};
use registry_client::{Algorithm, Digest, Hasher};
use std::io::{self, Seek, Write};
use tempfile::NamedTempFile;

/// A blob that is being written; dropping it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    file: NamedTempFile,
    hash: Hasher,
    algorithm: Algorithm,
    size: u64,
}

/// A blob that is in the store now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

impl Store {
    /// Starts a blob; it becomes visible when it is committed, and never if it is dropped before.
    pub fn writer(&self) -> Result<BlobWriter, Error> {
        self.writer_with(Algorithm::default())
    }

    /// Starts a blob that is hashed by `algorithm` as it is written.
    pub fn writer_with(&self, algorithm: Algorithm) -> Result<BlobWriter, Error> {
        BlobWriter::new(self.clone(), algorithm)
    }

    /// Stores `bytes`, a document, as a blob; it is durable when this returns.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        self.put_with(Algorithm::default(), bytes)
    }

    /// Stores a document under its digest by `algorithm`, as durably.
    pub fn put_with(&self, algorithm: Algorithm, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::with(algorithm, bytes);
        // A document is never visible before it is durable, so one that is there needs nothing more.
        if self.size(&digest) != Some(bytes.len() as u64) {
            let mut writer = self.writer_with(algorithm)?;
            io::Write::write_all(&mut writer, bytes).map_err(Error::file("writing", &self.temporary()))?;
            writer.sync()?;
            writer.commit_expecting(&digest)?;
            sync_directory(&self.blobs(algorithm))?;
        }
        Ok(digest)
    }
}

impl BlobWriter {
    pub(crate) fn new(store: Store, algorithm: Algorithm) -> Result<Self, Error> {
        let directory = store.temporary();
        let file = NamedTempFile::new_in(&directory).map_err(Error::file("creating a file in", &directory))?;
        Ok(BlobWriter { store, file, hash: Hasher::new(algorithm), algorithm, size: 0 })
    }

    /// Returns how many bytes were written.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Opens the file that the blob is written to, for reading what is there already.
    pub fn reader(&self) -> Result<std::fs::File, Error> {
        self.file.reopen().map_err(Error::file("opening", self.file.path()))
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.as_file().sync_data().map_err(Error::file("syncing", self.file.path()))
    }

    /// Makes the blob visible. It is not durable before [`Store::sync`].
    pub fn commit(self) -> Result<Written, Error> {
        let digest = self.hash.clone().finish();
        self.commit_as(digest)
    }

    fn commit_as(self, digest: Digest) -> Result<Written, Error> {
        let path = self.store.path(&digest);
        self.store.hold(&digest)?;
        // One that is there may be durable already, and this file is not: a power loss must not take what was promised.
        if self.store.size(&digest) == Some(self.size) && self.store.promise(&digest) {
            return Ok(Written { digest, size: self.size });
        }
        // The same blob may come from two sides at once; both files hold the same bytes.
        self.file.persist(&path).map_err(|error| Error::file("renaming to", &path)(error.error))?;
        Ok(Written { digest, size: self.size })
    }

    /// Makes the blob visible if its bytes are those of `expected`.
    pub fn commit_expecting(self, expected: &Digest) -> Result<Written, Error> {
        let found = self.digest(expected.algorithm())?;
        if found != *expected {
            return Err(Error::Mismatch { expected: expected.clone(), found });
        }
        self.commit_as(found)
    }

    /// Returns the digest by `algorithm`; the file is read again if it was hashed by another one.
    fn digest(&self, algorithm: Algorithm) -> Result<Digest, Error> {
        if algorithm == self.algorithm {
            return Ok(self.hash.clone().finish());
        }
        let mut file = self.file.reopen().map_err(Error::file("opening", self.file.path()))?;
        file.rewind().and_then(|()| hash_of(file, algorithm)).map_err(Error::file("reading", self.file.path()))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
