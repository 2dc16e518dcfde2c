//! Referrers: for each manifest of a repository, the manifests that have it as their `subject`, as descriptors that are
//! written when a manifest is put, so that a list reads no manifest.

use crate::contents::CONTENTS;
use crate::document::MAX_DOCUMENT;
use crate::files::{names, read_if_there};
use crate::tags::unescaped;
use crate::{Document, Error, Part, Store};
use registry_client::Digest;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Directory, in that of a repository, of the subjects.
const REFERRERS: &str = "referrers";
/// File that says that the manifests of a store of an earlier version have been gone through.
const TAKEN_OVER: &str = "referrers.noted";

impl Store {
    /// Returns the manifests of a repository that have `subject` as their subject, in the order of their digests.
    pub fn referrers(&self, repository: &str, subject: &Digest) -> Result<Vec<Digest>, Error> {
        let noted = names(&self.subject_of(repository, subject)?)?;
        Ok(noted.iter().filter_map(|hex| Digest::from_hex(hex)).collect())
    }

    /// Returns the descriptor of one of them as JSON; `None` if the repository does not have it any more.
    pub fn referrer(&self, repository: &str, subject: &Digest, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        if !self.has(repository, Part::Manifest, digest)? {
            return Ok(None);
        }
        let bytes = read_if_there(&self.subject_of(repository, subject)?.join(digest.hex()))?;
        // A power loss may have left it empty; it is written again after the start.
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }

    /// Returns the manifest that a manifest is about, if it says so.
    pub fn subject(&self, manifest: &Digest) -> Option<Digest> {
        subject_of(&self.document(manifest)?)
    }

    /// Takes note of a manifest's subject, if it has one.
    pub(crate) fn note_referrer(&self, repository: &str, manifest: &Digest) -> Result<(), Error> {
        self.note_referrer_in(&self.root().join(CONTENTS), repository, manifest)
    }

    pub(crate) fn note_referrer_in(&self, contents: &Path, repository: &str, manifest: &Digest) -> Result<(), Error> {
        let Some(document) = self.document(manifest) else { return Ok(()) };
        let Some(subject) = subject_of(&document) else { return Ok(()) };
        let directory = self.named(contents, repository)?.join(REFERRERS).join(subject.hex());
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(Error::file("creating", &directory))?;
        let descriptor = document.as_referrer(manifest, self.size(manifest).unwrap_or(0));
        self.write_file(&directory.join(manifest.hex()), descriptor.to_string().as_bytes())
    }

    /// Forgets the subject of a manifest that is about to leave its repository.
    pub(crate) fn forget_referrer(&self, repository: &str, manifest: &Digest) -> Result<(), Error> {
        let Some(subject) = self.document(manifest).as_ref().and_then(subject_of) else { return Ok(()) };
        let directory = self.subject_of(repository, &subject)?;
        remove(&directory.join(manifest.hex()))?;
        // Fails while others are there, which is what is wanted.
        let _ = fs::remove_dir(&directory);
        Ok(())
    }

    /// Forgets the referrers that a repository does not have any more; called by a collection, which is alone.
    pub(crate) fn forget_referrers(&self, repository: &Path) -> Result<(), Error> {
        let subjects = repository.join(REFERRERS);
        for subject in names(&subjects)? {
            let directory = subjects.join(subject);
            for hex in names(&directory)? {
                if !repository.join(Part::Manifest.directory()).join(&hex).exists() {
                    remove(&directory.join(hex))?;
                }
            }
            let _ = fs::remove_dir(&directory);
        }
        let _ = fs::remove_dir(&subjects);
        Ok(())
    }

    /// Takes over the manifests of a store of a version that noted no subjects.
    pub(crate) fn take_over_referrers(&self) -> Result<(), Error> {
        let mark = self.root().join(TAKEN_OVER);
        if mark.exists() {
            return Ok(());
        }
        for name in names(&self.root().join(CONTENTS))? {
            let repository = unescaped(&name);
            for manifest in self.parts(&repository, Part::Manifest)? {
                self.note_referrer(&repository, &manifest)?;
            }
        }
        self.write_durable_file(&mark, b"")
    }

    fn document(&self, manifest: &Digest) -> Option<Document> {
        Document::read(&self.read(manifest, MAX_DOCUMENT).ok()?).ok()
    }

    fn subject_of(&self, repository: &str, subject: &Digest) -> Result<PathBuf, Error> {
        Ok(self.named(&self.root().join(CONTENTS), repository)?.join(REFERRERS).join(subject.hex()))
    }
}

fn subject_of(document: &Document) -> Option<Digest> {
    document.subject.as_ref()?.digest().ok()
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("removing", path)(error)),
        _ => Ok(()),
    }
}
