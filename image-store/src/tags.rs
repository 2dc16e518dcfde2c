//! Tags: one small file each, in a directory per repository whose name is escaped so that it cannot be a path.

use crate::files::{names, read_if_there, sync_directory};
use crate::lease::{TURN, Turn};
use crate::shelf::Shelf;
use crate::{Error, Part, Store};
use registry_client::Descriptor;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Longest name of a repository or tag; escaped it still fits a file name.
const MAX_NAME: usize = 240;

impl Store {
    /// Makes `tag` of `repository` in the registry name a manifest; durable with all that the manifest leads to when it
    /// returns.
    pub fn tag(&self, repository: &str, tag: &str, manifest: &Descriptor) -> Result<(), Error> {
        self.set(Shelf::Tags, repository, tag, manifest)
    }

    /// Keeps an image under a name that the registry does not serve, as durably.
    pub fn keep(&self, repository: &str, tag: &str, manifest: &Descriptor) -> Result<(), Error> {
        self.set(Shelf::Local, repository, tag, manifest)
    }

    fn set(&self, shelf: Shelf, repository: &str, tag: &str, manifest: &Descriptor) -> Result<(), Error> {
        let directory = self.shelf(shelf, repository)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(Error::file("creating", &directory))?;
        // Until the tag is there, nothing leads to the manifest.
        let _turn = Turn::shared(&self.root().join(TURN))?;
        let mut led_to = self.reach(manifest).all;
        // Layers that have addresses of their own are elsewhere.
        led_to.retain(|digest| *digest == manifest.digest || self.contains(digest));
        self.sync(&led_to.into_iter().collect::<Vec<_>>())?;
        if shelf == Shelf::Tags {
            self.admit(repository, Part::Manifest, &manifest.digest)?;
            self.note_referrer(repository, &manifest.digest)?;
        }
        let bytes = serde_json::to_vec(manifest).map_err(|_| Error::Damaged(tag.to_owned()))?;
        self.write_durable_file(&directory.join(checked(tag)?), &bytes)?;
        sync_directory(&directory)?;
        sync_directory(&self.root().join(shelf.directory()))
    }

    /// Returns the manifest that `tag` of `repository` names.
    pub fn resolve(&self, repository: &str, tag: &str) -> Result<Option<Descriptor>, Error> {
        self.named_by(Shelf::Tags, repository, tag)
    }

    /// Returns the manifest of the image that was kept under a name.
    pub fn kept(&self, repository: &str, tag: &str) -> Result<Option<Descriptor>, Error> {
        self.named_by(Shelf::Local, repository, tag)
    }

    fn named_by(&self, shelf: Shelf, repository: &str, tag: &str) -> Result<Option<Descriptor>, Error> {
        let path = self.shelf(shelf, repository)?.join(checked(tag)?);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| Error::Damaged(path.display().to_string()))
    }

    /// Returns when a tag was set; `None` if it is not there.
    pub fn tagged_at(&self, repository: &str, tag: &str) -> Result<Option<SystemTime>, Error> {
        let path = self.shelf(Shelf::Tags, repository)?.join(checked(tag)?);
        match fs::metadata(&path).and_then(|known| known.modified()) {
            Ok(at) => Ok(Some(at)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("reading", &path)(error)),
        }
    }

    /// Removes a tag; tells whether it was there.
    pub fn untag(&self, repository: &str, tag: &str) -> Result<bool, Error> {
        self.remove_name(Shelf::Tags, repository, tag)
    }

    /// Removes the name of a kept image; tells whether it was there. The removal is durable when this returns.
    pub fn unkeep(&self, repository: &str, tag: &str) -> Result<bool, Error> {
        let removed = self.remove_name(Shelf::Local, repository, tag)?;
        if removed {
            let directory = self.shelf(Shelf::Local, repository)?;
            sync_directory(if directory.exists() { &directory } else { self.root() })?;
        }
        Ok(removed)
    }

    fn remove_name(&self, shelf: Shelf, repository: &str, tag: &str) -> Result<bool, Error> {
        let directory = self.shelf(shelf, repository)?;
        let path = directory.join(checked(tag)?);
        match fs::remove_file(&path) {
            Ok(()) => {
                // Fails while other tags are there, which is what is wanted.
                let _ = fs::remove_dir(&directory);
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file("removing", &path)(error)),
        }
    }

    /// Moves a name from one shelf to another.
    pub(crate) fn move_tag(&self, repository: &str, tag: &str, from: Shelf, to: Shelf) -> Result<(), Error> {
        let (from, to) = (self.shelf(from, repository)?, self.shelf(to, repository)?);
        DirBuilder::new().recursive(true).mode(0o700).create(&to).map_err(Error::file("creating", &to))?;
        let target = to.join(checked(tag)?);
        fs::rename(from.join(checked(tag)?), &target).map_err(Error::file("renaming to", &target))?;
        let _ = fs::remove_dir(&from);
        Ok(())
    }

    /// Returns the tags of `repository`, sorted.
    pub fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        names(&self.shelf(Shelf::Tags, repository)?)
    }

    /// Returns the tags under which images of a name were kept, sorted.
    pub fn kept_tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        names(&self.shelf(Shelf::Local, repository)?)
    }

    /// Returns the repositories that have tags, sorted.
    pub fn repositories(&self) -> Result<Vec<String>, Error> {
        self.repositories_on(Shelf::Tags)
    }

    /// Returns the names under which images are kept, sorted.
    pub fn kept_repositories(&self) -> Result<Vec<String>, Error> {
        self.repositories_on(Shelf::Local)
    }

    pub(crate) fn repositories_on(&self, shelf: Shelf) -> Result<Vec<String>, Error> {
        let escaped = names(&self.root().join(shelf.directory()))?;
        Ok(escaped.iter().map(|name| unescaped(name)).collect())
    }

    fn shelf(&self, shelf: Shelf, name: &str) -> Result<PathBuf, Error> {
        self.named(&self.root().join(shelf.directory()), name)
    }

    /// Returns the directory of a repository in another one.
    pub(crate) fn named(&self, directory: &Path, name: &str) -> Result<PathBuf, Error> {
        let fine =
            !name.is_empty() && name.len() <= MAX_NAME && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !fine || name.contains('\0') {
            return Err(Error::Name(name.to_owned()));
        }
        let escaped = name.replace('%', "%25").replace('/', "%2F");
        Ok(directory.join(checked(&escaped)?))
    }
}

/// Returns the name of the repository whose directory is called `name`.
pub(crate) fn unescaped(name: &str) -> String {
    name.replace("%2F", "/").replace("%25", "%")
}

pub(crate) fn checked(name: &str) -> Result<&str, Error> {
    let fine = !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains(['/', '\0']);
    if fine { Ok(name) } else { Err(Error::Name(name.to_owned())) }
}
