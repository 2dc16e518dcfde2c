//! Whether the store is whole, and what in it nobody needs.

use crate::lease::{TURN, Turn, leased};
use crate::tags::Shelf;
use crate::{Error, Store, is_older};
use registry_client::{Descriptor, Digest, Index, Manifest, media_type};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::time::Duration;

/// Largest document that is read when references are followed.
const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// What a check of the store found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Blobs that were read.
    pub blobs: usize,
    /// Blobs whose bytes are not those of their name.
    pub damaged: Vec<String>,
    /// Blobs that a tag leads to and that are not there.
    pub missing: Vec<Digest>,
}

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

fn hash_of(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            got => hash.update(&buffer[..got]),
        }
    }
}

impl Store {
    /// Reads every blob and follows every tag.
    pub fn verify(&self) -> Result<Report, Error> {
        let mut report = Report::default();
        for name in self.blob_names()? {
            report.blobs += 1;
            let path = self.root().join("blobs/sha256").join(&name);
            let hash = File::open(&path).and_then(hash_of).map_err(Error::file("reading", &path))?;
            if hash != name {
                report.damaged.push(name);
            }
        }
        report.missing = self.referenced()?.into_iter().filter(|digest| !self.contains(digest)).collect();
        report.missing.sort();
        Ok(report)
    }

    /// Removes blobs that no tag leads to, that no lease names, that are not in `keep` and that are older than `min_age`.
    ///
    /// Whoever looks for a blob meanwhile waits, and then finds it or not: it does not go while it is looked at.
    pub fn collect(&self, keep: &HashSet<Digest>, min_age: Duration) -> Result<Collected, Error> {
        let _turn = Turn::alone(&self.root().join(TURN))?;
        let names = self.blob_names()?;
        let blobs = names.iter().filter_map(|name| format!("sha256:{name}").parse::<Digest>().ok());
        self.remove_unneeded(blobs, keep, min_age)
    }

    /// Removes those of `blobs` that nothing needs any more, however young they are; the same is spared as by
    /// [`Store::collect`].
    pub fn release(&self, blobs: HashSet<Digest>, keep: &HashSet<Digest>) -> Result<Collected, Error> {
        let _turn = Turn::alone(&self.root().join(TURN))?;
        self.remove_unneeded(blobs.into_iter(), keep, Duration::ZERO)
    }

    /// Returns every blob that `descriptor` leads to, and itself.
    pub fn closure(&self, descriptor: &Descriptor) -> HashSet<Digest> {
        let mut found = HashSet::new();
        self.follow(descriptor, &mut found);
        found
    }

    fn remove_unneeded(
        &self,
        blobs: impl Iterator<Item = Digest>,
        keep: &HashSet<Digest>,
        min_age: Duration,
    ) -> Result<Collected, Error> {
        let (referenced, leased) = (self.referenced()?, leased(self)?);
        let mut collected = Collected::default();
        for digest in blobs {
            let path = self.path(&digest);
            let Ok(known) = fs::metadata(&path) else { continue };
            let young = known.modified().is_ok_and(|at| !is_older(at, min_age));
            if young || [keep, &referenced, &leased].iter().any(|needed| needed.contains(&digest)) {
                continue;
            }
            fs::remove_file(&path).map_err(Error::file("removing", &path))?;
            collected.blobs += 1;
            collected.bytes += known.len();
        }
        if collected.blobs > 0 {
            self.forget_gone()?;
        }
        Ok(collected)
    }

    /// Tells whether the bytes of a blob are those of its digest; a blob that is damaged is put aside (ST-08).
    ///
    /// Whoever needs it finds it missing then, and gets or makes it again.
    pub fn check_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let path = self.path(digest);
        let hash = match File::open(&path).and_then(hash_of) {
            Ok(hash) => hash,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::file("reading", &path)(error)),
        };
        if hash == digest.hex() {
            return Ok(true);
        }
        let aside = self.root().join("quarantine").join(digest.hex());
        tracing::error!(blob = %digest, found = hash, "a blob is damaged; it is put aside");
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
        let blobs = self.blob_names()?.into_iter().filter_map(|name| {
            let digest: Digest = format!("sha256:{name}").parse().ok()?;
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

    /// Returns the bytes of all blobs.
    pub fn stored_bytes(&self) -> Result<u64, Error> {
        let sizes = self.blob_names()?.into_iter().map(|name| self.root().join("blobs/sha256").join(name));
        Ok(sizes.filter_map(|path| fs::metadata(path).ok()).map(|known| known.len()).sum())
    }

    fn blob_names(&self) -> Result<Vec<String>, Error> {
        let directory = self.root().join("blobs/sha256");
        let entries = fs::read_dir(&directory).map_err(Error::file("reading", &directory))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// Returns every blob that a tag leads to.
    fn referenced(&self) -> Result<HashSet<Digest>, Error> {
        let mut found = HashSet::new();
        for repository in self.repositories()? {
            for tag in self.tags(&repository)? {
                if let Some(manifest) = self.resolve(&repository, &tag)? {
                    self.follow(&manifest, &mut found);
                }
            }
        }
        for name in self.repositories_on(Shelf::Kept)? {
            for tag in self.kept_tags(&name)? {
                if let Some(manifest) = self.kept(&name, &tag)? {
                    self.follow(&manifest, &mut found);
                }
            }
        }
        Ok(found)
    }

    /// Adds all that `descriptor` leads to, and itself, to `found`.
    pub(crate) fn follow(&self, descriptor: &Descriptor, found: &mut HashSet<Digest>) {
        self.follow_into(descriptor, found, &mut HashSet::new());
    }

    /// Does the same, and adds those that are manifests to `documents` as well.
    pub(crate) fn follow_into(
        &self,
        descriptor: &Descriptor,
        found: &mut HashSet<Digest>,
        documents: &mut HashSet<Digest>,
    ) {
        if !found.insert(descriptor.digest.clone()) {
            return;
        }
        documents.insert(descriptor.digest.clone());
        let Ok(bytes) = self.read(&descriptor.digest, MAX_DOCUMENT) else { return };
        if media_type::is_index(&descriptor.media_type) {
            let Ok(index) = serde_json::from_slice::<Index>(&bytes) else { return };
            index.manifests.iter().for_each(|manifest| self.follow_into(manifest, found, documents));
        } else if let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) {
            found.insert(manifest.config.digest);
            found.extend(manifest.layers.into_iter().map(|layer| layer.digest));
        }
    }
}
