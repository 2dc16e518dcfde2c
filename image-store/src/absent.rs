//! Absent: what manifests of a repository name and it was never given. To name a digest is not to have it, whatever notes are
//! lost.

use crate::contents::CONTENTS;
use crate::files::{is_older, names, sync_directory};
use crate::lease::{TURN, Turn};
use crate::{Error, Store};
use registry_client::Digest;
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Directory, in that of a repository, of the notes.
const ABSENT: &str = "absent";
/// A manifest is on its way to its tag for less than this.
const YOUNG: Duration = Duration::from_secs(60 * 60);

impl Store {
    /// Takes note, durably, that a manifest of a repository is going to name what the repository was never given.
    pub fn note_absent(&self, repository: &str, digests: &HashSet<Digest>) -> Result<(), Error> {
        if digests.is_empty() {
            return Ok(());
        }
        let contents = self.root().join(CONTENTS);
        let own = self.named(&contents, repository)?;
        let directory = own.join(ABSENT);
        // No collection forgets them meanwhile.
        let _turn = Turn::shared(&self.root().join(TURN))?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(Error::file("creating", &directory))?;
        for digest in digests {
            let note = directory.join(digest.hex());
            let written = File::create(&note).and_then(|file| file.set_modified(SystemTime::now()));
            written.map_err(Error::file("creating", &note))?;
        }
        // The notes are names alone, which lie in their directories.
        [&directory, &own, &contents].into_iter().try_for_each(|directory| sync_directory(directory))
    }

    /// Forgets such a note: the repository was given the blob or manifest.
    pub(crate) fn forget_absent(&self, repository: &str, digest: &Digest) -> Result<(), Error> {
        let note = self.named(&self.root().join(CONTENTS), repository)?.join(ABSENT).join(digest.hex());
        match fs::remove_file(&note) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("removing", &note)(error)),
            _ => Ok(()),
        }
    }

    /// Returns the notes of a repository, as hexadecimal digits.
    pub(crate) fn absent(&self, repository: &str) -> Result<HashSet<String>, Error> {
        let directory = self.named(&self.root().join(CONTENTS), repository)?.join(ABSENT);
        Ok(names(&directory)?.into_iter().collect())
    }

    /// Forgets what no tag of a repository names any more; called by a collection, which is alone. `own` is the repository's
    /// directory.
    pub(crate) fn forget_unnamed(&self, repository: &str, own: &Path) -> Result<(), Error> {
        let directory = own.join(ABSENT);
        let is_old = |hex: &String| {
            fs::metadata(directory.join(hex)).and_then(|known| known.modified()).is_ok_and(|at| is_older(at, YOUNG))
        };
        let mut old = names(&directory)?;
        old.retain(is_old);
        let mut named: HashSet<Digest> = HashSet::new();
        if !old.is_empty() {
            let deleted = self.deleted_tags(repository)?.into_iter().map(|tag| tag.manifest);
            let manifests = self.tagged(repository)?.into_iter().chain(deleted);
            named.extend(manifests.flat_map(|manifest| self.closure(&manifest)));
        }
        let named: HashSet<&str> = named.iter().map(Digest::hex).collect();
        for hex in old.iter().filter(|hex| !named.contains(hex.as_str())) {
            let note = directory.join(hex);
            fs::remove_file(&note).map_err(Error::file("removing", &note))?;
        }
        // Fails while others are there, which is what is wanted.
        let _ = fs::remove_dir(&directory);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use registry_client::Descriptor;
    use std::collections::HashMap;

    fn tag(store: &Store, tag: &str, layers: &[&[u8]]) -> Descriptor {
        let layers: Vec<_> =
            layers.iter().map(|layer| HashMap::from([("digest", Digest::of(layer).to_string())])).collect();
        let bytes = serde_json::to_vec(&HashMap::from([("layers", layers)])).unwrap();
        let manifest = Descriptor::new("", store.put(&bytes).unwrap(), bytes.len() as u64);
        store.tag("team/app", tag, &manifest).unwrap();
        manifest
    }

    #[test]
    fn what_no_tag_names_any_more_is_forgotten_and_the_rest_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let digests = [&b"one"[..], b"two", b"both"].map(Digest::of);
        store.note_absent("team/app", &digests.iter().cloned().collect()).unwrap();
        tag(&store, "1", &[b"one", b"both"]);
        tag(&store, "2", &[b"two", b"both"]);
        store.untag("team/app", "1").unwrap();
        store.collect(&HashSet::new(), Duration::ZERO).unwrap();
        assert_eq!(store.absent("team/app").unwrap().len(), 3, "a manifest may be on its way");
        let notes = directory.path().join("contents/team%2Fapp/absent");
        for digest in &digests {
            let note = File::open(notes.join(digest.hex())).unwrap();
            note.set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
        }
        // Noted once more for a manifest that comes.
        let again = HashSet::from([Digest::of(b"one")]);
        store.note_absent("team/app", &again).unwrap();
        store.put(b"garbage").unwrap();
        store.collect(&HashSet::new(), Duration::ZERO).unwrap();
        assert_eq!(store.absent("team/app").unwrap().len(), 3);
        File::open(notes.join(Digest::of(b"one").hex())).unwrap().set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
        store.put(b"garbage").unwrap();
        store.collect(&HashSet::new(), Duration::ZERO).unwrap();
        let left = HashSet::from([Digest::of(b"two").hex().to_owned(), Digest::of(b"both").hex().to_owned()]);
        assert_eq!(store.absent("team/app").unwrap(), left);
        store.admit("team/app", crate::Part::Blob, &Digest::of(b"two")).unwrap();
        assert_eq!(store.absent("team/app").unwrap().len(), 1);
    }
}
