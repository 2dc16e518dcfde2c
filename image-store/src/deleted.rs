//! Deleted tags: kept for a while with all that they lead to, so that they can be put back.
//!
//! Each is a small file like that of the tag, with the moment until which it is kept. A tag that is deleted once more takes the
//! place of the one before.

use crate::files::{names, read_if_there, sync_directory};
use crate::tags::{checked, unescaped};
use crate::{Error, Store};
use registry_client::Descriptor;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Directory of the deleted tags.
const DELETED: &str = "deleted";

/// A deleted tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTag {
    /// The repository.
    pub repository: String,
    /// The tag, or the digest of what was put by digest alone.
    pub name: String,
    /// The manifest that it named.
    pub manifest: Descriptor,
    /// The moment until which it is kept.
    pub until: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct Note {
    manifest: Descriptor,
    until_ms: u64,
}

impl Store {
    /// Removes a tag and keeps it for a while; tells whether it was there.
    pub fn delete_tag(&self, repository: &str, tag: &str, grace: Duration) -> Result<bool, Error> {
        if grace.is_zero() {
            return self.untag(repository, tag);
        }
        let Some(manifest) = self.resolve(repository, tag)? else { return Ok(false) };
        let until = SystemTime::now() + grace;
        let until_ms = until.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let bytes = serde_json::to_vec(&Note { manifest, until_ms }).map_err(|_| Error::Damaged(tag.to_owned()))?;
        let directory = self.named(&self.root().join(DELETED), repository)?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(Error::file("creating", &directory))?;
        // Before the tag goes: something leads to the manifest at every moment.
        self.write_durable_file(&directory.join(checked(tag)?), &bytes)?;
        sync_directory(&directory)?;
        sync_directory(&self.root().join(DELETED))?;
        self.untag(repository, tag)
    }

    /// Returns a deleted tag that is still kept.
    pub fn deleted_tag(&self, repository: &str, tag: &str) -> Result<Option<DeletedTag>, Error> {
        let path = self.named(&self.root().join(DELETED), repository)?.join(checked(tag)?);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        let note: Note = serde_json::from_slice(&bytes).map_err(|_| Error::Damaged(path.display().to_string()))?;
        let until = UNIX_EPOCH + Duration::from_millis(note.until_ms);
        let (repository, name) = (repository.to_owned(), tag.to_owned());
        let found = DeletedTag { repository, name, manifest: note.manifest, until };
        Ok((until > SystemTime::now()).then_some(found))
    }

    /// Returns the deleted tags of a repository that are still kept, sorted. One that cannot be read is left out.
    pub fn deleted_tags(&self, repository: &str) -> Result<Vec<DeletedTag>, Error> {
        let names = names(&self.named(&self.root().join(DELETED), repository)?)?;
        Ok(names.iter().filter_map(|name| self.deleted_tag(repository, name).ok().flatten()).collect())
    }

    /// Returns the repositories with deleted tags, sorted.
    pub fn deleted_repositories(&self) -> Result<Vec<String>, Error> {
        Ok(names(&self.root().join(DELETED))?.iter().map(|name| unescaped(name)).collect())
    }

    /// Puts a deleted tag back with what it leads to; refuses one of which something is missing. The tag must not be there.
    pub fn undelete(&self, deleted: &DeletedTag) -> Result<(), Error> {
        let DeletedTag { repository, name, manifest, .. } = deleted;
        // Nothing that is looked at through a lease is collected meanwhile.
        let (held, absent) = (self.leased()?, self.absent(repository)?);
        let missing = |digest: &&_| !held.contains(digest) && !absent.contains(digest.hex());
        if let Some(missing) = held.closure(manifest).iter().find(missing) {
            return Err(Error::Missing(missing.clone()));
        }
        held.tag(repository, name, manifest)?;
        self.readmit_repository(repository)?;
        self.forget_deleted(repository, name)
    }

    /// Forgets deleted tags whose time is over; called by a collection, which is alone.
    pub(crate) fn forget_overdue(&self) -> Result<(), Error> {
        for repository in self.deleted_repositories()? {
            for name in names(&self.named(&self.root().join(DELETED), &repository)?)? {
                if !matches!(self.deleted_tag(&repository, &name), Ok(Some(_))) {
                    self.forget_deleted(&repository, &name)?;
                }
            }
        }
        Ok(())
    }

    fn forget_deleted(&self, repository: &str, name: &str) -> Result<(), Error> {
        let directory = self.named(&self.root().join(DELETED), repository)?;
        let path = directory.join(checked(name)?);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("removing", &path)(error));
            }
            _ => {}
        }
        // Fails while others are there, which is what is wanted.
        let _ = fs::remove_dir(&directory);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Part;
    use registry_client::{Digest, Manifest, media_type};
    use std::collections::HashSet;
    use std::fs::File;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        (directory, store)
    }

    /// Tags an image that has a layer and names another one that was never given to the repository.
    fn tagged(store: &Store) -> Descriptor {
        let layer = |bytes: &[u8]| Descriptor::new(media_type::OCI_LAYER, Digest::of(bytes), bytes.len() as u64);
        for bytes in [&b"{}"[..], b"layer"] {
            store.admit("team/app", Part::Blob, &store.put(bytes).unwrap()).unwrap();
        }
        store.note_absent("team/app", &HashSet::from([Digest::of(b"elsewhere")])).unwrap();
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.into()),
            config: Descriptor::new(media_type::OCI_CONFIG, Digest::of(b"{}"), 2),
            layers: vec![layer(b"layer"), layer(b"elsewhere")],
            annotations: Default::default(),
        };
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let manifest = Descriptor::new(media_type::OCI_MANIFEST, store.put(&bytes).unwrap(), bytes.len() as u64);
        store.tag("team/app", "1", &manifest).unwrap();
        manifest
    }

    fn collect(store: &Store) -> usize {
        store.put(b"garbage").unwrap();
        store.collect(&HashSet::new(), Duration::ZERO).unwrap().blobs
    }

    #[test]
    fn a_deleted_tag_stays_for_a_while_and_is_put_back_as_it_was() {
        let (directory, store) = store();
        let manifest = tagged(&store);
        assert!(store.delete_tag("team/app", "1", DAY).unwrap());
        assert!(!store.delete_tag("team/app", "1", DAY).unwrap());
        store.expel("team/app", Part::Manifest, &manifest.digest).unwrap();
        assert_eq!(store.resolve("team/app", "1").unwrap(), None);
        // Long after notes of what is absent are old, too.
        let note = directory.path().join("contents/team%2Fapp/absent").join(Digest::of(b"elsewhere").hex());
        File::open(&note).unwrap().set_modified(SystemTime::now() - 2 * DAY).unwrap();
        assert_eq!(collect(&store), 1, "the garbage alone");
        let deleted = store.deleted_tags("team/app").unwrap();
        assert_eq!((deleted.len(), &deleted[0].manifest), (1, &manifest));
        assert_eq!(store.deleted_repositories().unwrap(), ["team/app"]);
        store.undelete(&deleted[0]).unwrap();
        assert_eq!(store.resolve("team/app", "1").unwrap(), Some(manifest.clone()));
        assert!(store.has("team/app", Part::Manifest, &manifest.digest).unwrap());
        assert!(store.has("team/app", Part::Blob, &Digest::of(b"layer")).unwrap());
        store.put(b"elsewhere").unwrap();
        store.readmit().unwrap();
        assert!(!store.has("team/app", Part::Blob, &Digest::of(b"elsewhere")).unwrap(), "to name it is not to have it");
        assert!(store.deleted_tags("team/app").unwrap().is_empty());
    }

    #[test]
    fn a_tag_whose_time_is_over_goes_with_what_it_led_to() {
        let (_directory, store) = store();
        tagged(&store);
        assert!(store.delete_tag("team/app", "1", Duration::from_millis(1)).unwrap());
        std::thread::sleep(Duration::from_millis(5));
        assert!(store.deleted_tags("team/app").unwrap().is_empty());
        assert_eq!(collect(&store), 4);
        assert!(store.deleted_repositories().unwrap().is_empty());
        tagged(&store);
        assert!(store.delete_tag("team/app", "1", Duration::ZERO).unwrap(), "nothing is kept without a time");
        assert_eq!(collect(&store), 4);
    }

    #[test]
    fn a_tag_of_which_something_is_missing_is_not_put_back() {
        let (_directory, store) = store();
        tagged(&store);
        store.delete_tag("team/app", "1", DAY).unwrap();
        fs::remove_file(store.path(&Digest::of(b"layer"))).unwrap();
        let deleted = store.deleted_tag("team/app", "1").unwrap().unwrap();
        assert!(matches!(store.undelete(&deleted), Err(Error::Missing(digest)) if digest == Digest::of(b"layer")));
        assert_eq!(store.resolve("team/app", "1").unwrap(), None);
    }
}
