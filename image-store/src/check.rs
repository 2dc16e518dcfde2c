//! Checks the integrity of the store and collects garbage.

use crate::files::is_older;
use crate::lease::{TURN, Turn, leased};
use crate::{Error, Store};
use registry_client::{Algorithm, Digest, Hasher};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::time::Duration;

/// The result of a check of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Blobs that were read.
    pub blobs: usize,
    /// Blobs whose bytes are not those of their name.
    pub damaged: Vec<String>,
    /// Blobs that a tag leads to and that are not there.
    pub missing: Vec<Digest>,
}

/// The result of a garbage collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Returns the digest of a file's bytes from where it stands.
pub(crate) fn hash_of(mut file: File, algorithm: Algorithm) -> io::Result<Digest> {
    let mut hash = Hasher::new(algorithm);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finish()),
            got => hash.update(&buffer[..got]),
        }
    }
}

impl Store {
    /// Reads every blob and follows every tag.
    pub fn verify(&self) -> Result<Report, Error> {
        let mut report = Report::default();
        for file in self.blob_files()? {
            report.blobs += 1;
            let path = self.blobs(file.algorithm).join(&file.name);
            let found = File::open(&path).and_then(|open| hash_of(open, file.algorithm));
            if found.map_err(Error::file("reading", &path))?.hex() != file.name {
                report.damaged.push(file.name);
            }
        }
        report.missing = self.referenced()?.into_iter().filter(|digest| !self.contains(digest)).collect();
        report.missing.sort();
        Ok(report)
    }

    /// Removes blobs that no tag leads to, that no lease names, that are not in `keep` and that are older than `min_age`.
    ///
    /// Readers wait meanwhile: a blob does not disappear while it is looked up.
    pub fn collect(&self, keep: &HashSet<Digest>, min_age: Duration) -> Result<Collected, Error> {
        let _turn = Turn::alone(&self.root().join(TURN))?;
        self.forget_overdue()?;
        let blobs = self.blob_files()?;
        self.remove_unneeded(blobs.iter().filter_map(BlobFile::digest), keep, min_age)
    }

    /// Removes those of `blobs` that nothing needs any more, however young they are; the same is spared as by
    /// [`Store::collect`].
    pub fn release(&self, blobs: HashSet<Digest>, keep: &HashSet<Digest>) -> Result<Collected, Error> {
        let _turn = Turn::alone(&self.root().join(TURN))?;
        self.remove_unneeded(blobs.into_iter(), keep, Duration::ZERO)
    }

    /// Returns the bytes of all blobs.
    pub fn stored_bytes(&self) -> Result<u64, Error> {
        let paths = self.blob_files()?.into_iter().map(|file| self.blobs(file.algorithm).join(file.name));
        Ok(paths.filter_map(|path| fs::metadata(path).ok()).map(|known| known.len()).sum())
    }

    fn remove_unneeded(
        &self,
        blobs: impl Iterator<Item = Digest>,
        keep: &HashSet<Digest>,
        min_age: Duration,
    ) -> Result<Collected, Error> {
        let (referenced, leased) = (self.referenced()?, leased(self.root())?);
        let is_old = |digest: &Digest| {
            let known = fs::metadata(self.path(digest));
            known.is_ok_and(|known| !known.modified().is_ok_and(|at| !is_older(at, min_age)))
        };
        let is_needed = |digest: &Digest| [keep, &referenced, &leased].iter().any(|needed| needed.contains(digest));
        let unneeded: HashSet<Digest> = blobs.filter(|digest| !is_needed(digest) && is_old(digest)).collect();
        let mut collected = Collected::default();
        if unneeded.is_empty() {
            return Ok(collected);
        }
        // The notes go first: one that a kill left behind would give the repository what somebody else sends later.
        self.forget_gone(&unneeded)?;
        for digest in unneeded {
            let path = self.path(&digest);
            let size = fs::metadata(&path).map_or(0, |known| known.len());
            fs::remove_file(&path).map_err(Error::file("removing", &path))?;
            collected.blobs += 1;
            collected.bytes += size;
        }
        Ok(collected)
    }

    /// Returns whether the bytes of a blob are those of its digest; a blob that is damaged is put aside (ST-08).
    ///
    /// Its readers then find it missing, and fetch or make it again.
    pub fn check_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let path = self.path(digest);
        let found = match File::open(&path).and_then(|file| hash_of(file, digest.algorithm())) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::file("reading", &path)(error)),
        };
        if found == *digest {
            return Ok(true);
        }
        let aside = self.root().join("quarantine").join(digest.hex());
        tracing::error!(blob = %digest, %found, "a blob is damaged; it is put aside");
        match fs::rename(&path, &aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("moving", &path)(error)),
            _ => Ok(false),
        }
    }

    /// Checks the blobs that were written within `recent` before now or before the last of them, after a start: a crash
    /// may have cut them short, however long the machine was off afterwards.
    ///
    /// Returns how many were put aside.
    pub fn recover(&self, recent: Duration) -> Result<usize, Error> {
        let blobs = self.blob_files()?.into_iter().filter_map(|file| {
            let digest = file.digest()?;
            let known = fs::metadata(self.path(&digest)).ok()?;
            Some((digest, known.len(), known.modified().ok()?))
        });
        let blobs: Vec<_> = blobs.collect();
        let last = blobs.iter().map(|(_, _, written)| *written).max();
        let mut damaged = 0;
        for (digest, size, written) in blobs {
            let before_last = last.is_some_and(|last| last.duration_since(written).is_ok_and(|age| age <= recent));
            let doubtful = size == 0 || before_last || !is_older(written, recent);
            damaged += usize::from(doubtful && !self.check_blob(&digest)?);
        }
        Ok(damaged)
    }

    fn blob_files(&self) -> Result<Vec<BlobFile>, Error> {
        let mut files = Vec::new();
        for algorithm in Algorithm::ALL {
            let directory = self.blobs(algorithm);
            let entries = fs::read_dir(&directory).map_err(Error::file("reading", &directory))?;
            let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            files.extend(names.map(|name| BlobFile { algorithm, name }));
        }
        Ok(files)
    }
}

/// A file among the blobs.
struct BlobFile {
    algorithm: Algorithm,
    name: String,
}

impl BlobFile {
    /// Returns the digest that the file is named by.
    fn digest(&self) -> Option<Digest> {
        Digest::from_hex(&self.name).filter(|digest| digest.algorithm() == self.algorithm)
    }
}
