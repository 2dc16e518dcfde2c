//! Contents of each repository of the registry: the store keeps a blob once, and only the repositories that were given it
//! serve it.
//!
//! A note is an empty file named by the digest. Tags are the truth: what a tag leads to is noted again after a start of the
//! machine, so nobody waits until a note is durable.

use crate::files::names;
use crate::lease::{TURN, Turn};
use crate::reach::Reached;
use crate::shelf::Shelf;
use crate::tags::unescaped;
use crate::{Error, Store};
use registry_client::{Descriptor, Digest};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Directory of the notes.
pub(crate) const CONTENTS: &str = "contents";
/// Marks tags of images that were kept by hand, where versions before this one put them.
const OLD_MARK: &str = "slipway.kept";

/// The role of a digest in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Bytes that were uploaded or mounted.
    Blob,
    /// A manifest or index that was checked when it was put.
    Manifest,
}

impl Part {
    pub(crate) fn directory(self) -> &'static str {
        match self {
            Part::Blob => "blobs",
            Part::Manifest => "manifests",
        }
    }
}

impl Store {
    /// Takes note that a repository has a blob or manifest.
    pub fn admit(&self, repository: &str, part: Part, digest: &Digest) -> Result<(), Error> {
        self.admit_in(&self.root().join(CONTENTS), repository, part, digest)?;
        self.forget_absent(repository, digest)
    }

    /// Tells whether there is such a repository: something was pushed to it.
    pub fn is_repository(&self, repository: &str) -> Result<bool, Error> {
        let is_tagged = self.named(&self.root().join(Shelf::Tags.directory()), repository)?.exists();
        Ok(is_tagged || self.named(&self.root().join(CONTENTS), repository)?.exists())
    }

    /// Returns the bytes of all blobs and manifests of a repository, each counted once.
    pub fn usage(&self, repository: &str) -> Result<u64, Error> {
        let mut digests = self.parts(repository, Part::Blob)?;
        digests.extend(self.parts(repository, Part::Manifest)?);
        digests.sort();
        digests.dedup();
        Ok(digests.iter().filter_map(|digest| self.size(digest)).sum())
    }

    /// Returns the repositories that have a blob.
    pub fn holders(&self, digest: &Digest) -> Result<Vec<String>, Error> {
        let contents = self.root().join(CONTENTS);
        let has = |name: &String| contents.join(name).join(Part::Blob.directory()).join(digest.hex()).exists();
        Ok(names(&contents)?.iter().filter(|name| has(name)).map(|name| unescaped(name)).collect())
    }

    /// Tells whether a repository has a blob or manifest, and it is here.
    pub fn has(&self, repository: &str, part: Part, digest: &Digest) -> Result<bool, Error> {
        Ok(self.note_of(repository, part)?.join(digest.hex()).exists() && self.contains(digest))
    }

    /// Returns the blobs or manifests that a repository has.
    pub fn parts(&self, repository: &str, part: Part) -> Result<Vec<Digest>, Error> {
        let noted = names(&self.note_of(repository, part)?)?;
        Ok(noted.iter().filter_map(|hex| Digest::from_hex(hex)).collect())
    }

    /// Takes a blob or manifest away from a repository; tells whether it had it.
    pub fn expel(&self, repository: &str, part: Part, digest: &Digest) -> Result<bool, Error> {
        let note = self.note_of(repository, part)?.join(digest.hex());
        if part == Part::Manifest {
            self.forget_referrer(repository, digest)?;
        }
        match fs::remove_file(&note) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file("removing", &note)(error)),
        }
    }

    /// Takes note of all that tags lead to: whatever notes a power loss took are there again.
    ///
    /// A document is followed only if it was put as a manifest: what it names was checked then, which nobody does with a blob.
    pub fn readmit(&self) -> Result<(), Error> {
        self.repositories()?.iter().try_for_each(|repository| self.readmit_repository(repository))
    }

    pub(crate) fn readmit_repository(&self, repository: &str) -> Result<(), Error> {
        let contents = self.root().join(CONTENTS);
        let tagged = self.tagged(repository)?;
        let mut put: HashSet<Digest> = self.parts(repository, Part::Manifest)?.into_iter().collect();
        put.extend(tagged.iter().map(|manifest| manifest.digest.clone()));
        let absent = self.absent(repository)?;
        for manifest in &tagged {
            let mut reached = self.reach_by(manifest, &|digest| put.contains(digest));
            reached.all.retain(|digest| !absent.contains(digest.hex()));
            self.admit_all_in(&contents, repository, &reached)?;
        }
        Ok(())
    }

    /// Returns the manifests that the tags of a repository name.
    pub(crate) fn tagged(&self, repository: &str) -> Result<Vec<Descriptor>, Error> {
        let tags = self.tags(repository)?;
        tags.iter().filter_map(|tag| self.resolve(repository, tag).transpose()).collect()
    }

    fn admit_all_in(&self, contents: &Path, repository: &str, reached: &Reached) -> Result<(), Error> {
        for digest in &reached.all {
            let is_document = reached.documents.contains(digest);
            let part = if is_document { Part::Manifest } else { Part::Blob };
            self.admit_in(contents, repository, part, digest)?;
            if is_document {
                self.note_referrer_in(contents, repository, digest)?;
            }
        }
        Ok(())
    }

    fn admit_in(&self, contents: &Path, repository: &str, part: Part, digest: &Digest) -> Result<(), Error> {
        let directory = self.named(contents, repository)?.join(part.directory());
        let note = directory.join(digest.hex());
        if note.exists() {
            return Ok(());
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(Error::file("creating", &directory))?;
        File::create(&note).map(drop).map_err(Error::file("creating", &note))
    }

    fn note_of(&self, repository: &str, part: Part) -> Result<PathBuf, Error> {
        Ok(self.named(&self.root().join(CONTENTS), repository)?.join(part.directory()))
    }

    /// Takes over a store of a version that had no notes: what tags lead to is their repository's, and what was kept by
    /// hand is not the registry's.
    pub(crate) fn take_over(&self) -> Result<(), Error> {
        let contents = self.root().join(CONTENTS);
        if contents.exists() {
            return Ok(());
        }
        let _turn = Turn::alone(&self.root().join(TURN))?;
        if contents.exists() {
            return Ok(());
        }
        for repository in self.repositories()? {
            for tag in self.tags(&repository)? {
                let tagged = self.resolve(&repository, &tag)?;
                if tagged.is_some_and(|found| found.annotations.contains_key(OLD_MARK)) {
                    self.move_tag(&repository, &tag, Shelf::Tags, Shelf::Local)?;
                }
            }
        }
        let part = self.root().join("contents.part");
        let _ = fs::remove_dir_all(&part);
        DirBuilder::new().recursive(true).mode(0o700).create(&part).map_err(Error::file("creating", &part))?;
        for repository in self.repositories()? {
            for manifest in self.tagged(&repository)? {
                self.admit_all_in(&part, &repository, &self.reach(&manifest))?;
            }
        }
        fs::rename(&part, &contents).map_err(Error::file("renaming to", &contents))
    }

    /// Forgets the notes of what is gone or is going; called by a collection, which is alone.
    pub(crate) fn forget_gone(&self, going: &HashSet<Digest>) -> Result<(), Error> {
        let contents = self.root().join(CONTENTS);
        for name in names(&contents)? {
            let repository = contents.join(&name);
            for part in [Part::Blob, Part::Manifest] {
                let directory = repository.join(part.directory());
                for hex in names(&directory)? {
                    let stays = |digest: &Digest| !going.contains(digest) && self.path(digest).exists();
                    if !Digest::from_hex(&hex).is_some_and(|digest| stays(&digest)) {
                        let note = directory.join(&hex);
                        fs::remove_file(&note).map_err(Error::file("removing", &note))?;
                    }
                }
                // Fails while others are there, which is what is wanted.
                let _ = fs::remove_dir(&directory);
            }
            self.forget_referrers(&repository)?;
            self.forget_unnamed(&unescaped(&name), &repository)?;
            let _ = fs::remove_dir(&repository);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use registry_client::{Manifest, media_type};
    use std::time::Duration;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        (directory, store)
    }

    fn image(store: &Store, text: &str) -> Descriptor {
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.into()),
            config: Descriptor::new(media_type::OCI_CONFIG, store.put(b"{}").unwrap(), 2),
            layers: vec![Descriptor::new(
                media_type::OCI_LAYER,
                store.put(text.as_bytes()).unwrap(),
                text.len() as u64,
            )],
            annotations: Default::default(),
        };
        let bytes = serde_json::to_vec(&manifest).unwrap();
        Descriptor::new(media_type::OCI_MANIFEST, store.put(&bytes).unwrap(), bytes.len() as u64)
    }

    // SEC-M1, scoped content
    #[test]
    fn a_repository_has_what_it_was_given_until_it_is_gone() {
        let (_directory, store) = store();
        let digest = store.put(b"blob").unwrap();
        assert!(!store.has("a/b", Part::Blob, &digest).unwrap());
        store.admit("a/b", Part::Blob, &digest).unwrap();
        assert!(store.has("a/b", Part::Blob, &digest).unwrap());
        assert!(!store.has("a/b", Part::Manifest, &digest).unwrap() && !store.has("a", Part::Blob, &digest).unwrap());
        assert_eq!(store.parts("a/b", Part::Blob).unwrap(), std::slice::from_ref(&digest));
        assert_eq!(store.collect(&HashSet::new(), Duration::ZERO).unwrap().blobs, 1);
        store.put(b"blob").unwrap();
        assert!(!store.has("a/b", Part::Blob, &digest).unwrap(), "somebody else's later blob is not its own");
    }

    #[test]
    fn a_collection_that_is_cut_short_gives_nobody_what_others_send_later() {
        let (_directory, store) = store();
        let digest = store.put(b"blob").unwrap();
        store.admit("a/b", Part::Blob, &digest).unwrap();
        // A directory in the place of a blob cannot be removed as a file: the collection ends there, wherever that is.
        let stuck = store.path(&Digest::of(b"stuck"));
        fs::create_dir(&stuck).unwrap();
        assert!(store.collect(&HashSet::new(), Duration::ZERO).is_err());
        store.put(b"blob").unwrap();
        assert!(!store.has("a/b", Part::Blob, &digest).unwrap());
    }

    #[test]
    fn a_store_of_an_earlier_version_is_taken_over() {
        let (directory, store) = store();
        let (pushed, mut kept) = (image(&store, "pushed"), image(&store, "kept"));
        store.tag("team/app", "1", &pushed).unwrap();
        kept.annotations.insert(OLD_MARK.to_owned(), "by hand".to_owned());
        store.tag("docker.io/library/mine", "1", &kept).unwrap();
        fs::remove_dir_all(directory.path().join(CONTENTS)).unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert!(store.has("team/app", Part::Manifest, &pushed.digest).unwrap());
        assert!(store.has("team/app", Part::Blob, &Digest::of(b"pushed")).unwrap());
        assert!(!store.has("team/app", Part::Blob, &Digest::of(b"kept")).unwrap());
        assert_eq!(store.repositories().unwrap(), ["team/app"]);
        assert_eq!(store.kept("docker.io/library/mine", "1").unwrap(), Some(kept));
        store.collect(&HashSet::new(), Duration::ZERO).unwrap();
        assert!(store.contains(&Digest::of(b"kept")), "what was kept is kept");
    }

    #[test]
    fn what_a_power_loss_took_of_the_notes_is_noted_again() {
        let (directory, store) = store();
        let pushed = image(&store, "pushed");
        store.tag("team/app", "1", &pushed).unwrap();
        fs::remove_dir_all(directory.path().join(CONTENTS).join("team%2Fapp")).unwrap();
        store.readmit().unwrap();
        assert!(store.has("team/app", Part::Blob, &Digest::of(b"pushed")).unwrap());
    }
}
