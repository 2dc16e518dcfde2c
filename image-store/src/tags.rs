//! Tags: one small file each, in a directory per repository whose name is escaped so that it can be no path.

use crate::lease::{TURN, Turn};
use crate::{Error, Store, read_if_there, sync_directory};
use registry_client::Descriptor;
use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Longest name of a repository or tag; escaped it still fits a file name.
const MAX_NAME: usize = 240;

impl Store {
    /// Makes `tag` of `repository` name a manifest; durable with all that the manifest leads to when it returns.
    pub fn tag(&self, repository: &str, tag: &str, manifest: &Descriptor) -> Result<(), Error> {
        let directory = self.repository(repository)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(Error::file("creating", &directory))?;
        // Until the tag is there, nothing leads to the manifest.
        let _turn = Turn::shared(&self.root().join(TURN))?;
        let mut led_to = HashSet::new();
        self.follow(manifest, &mut led_to);
        // Layers that have addresses of their own are elsewhere.
        led_to.retain(|digest| *digest == manifest.digest || self.contains(digest));
        self.sync(&led_to.into_iter().collect::<Vec<_>>())?;
        let bytes = serde_json::to_vec(manifest).map_err(|_| Error::Damaged(tag.to_owned()))?;
        self.write_durable_file(&directory.join(checked(tag)?), &bytes)?;
        sync_directory(&directory)?;
        sync_directory(&self.root().join("tags"))
    }

    /// Returns the manifest that `tag` of `repository` names.
    pub fn resolve(&self, repository: &str, tag: &str) -> Result<Option<Descriptor>, Error> {
        let path = self.repository(repository)?.join(checked(tag)?);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| Error::Damaged(path.display().to_string()))
    }

    /// Removes a tag; tells whether it was there.
    pub fn untag(&self, repository: &str, tag: &str) -> Result<bool, Error> {
        let directory = self.repository(repository)?;
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

    /// Returns the tags of `repository`, sorted.
    pub fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        names(&self.repository(repository)?)
    }

    /// Returns the repositories that have tags, sorted.
    pub fn repositories(&self) -> Result<Vec<String>, Error> {
        let escaped = names(&self.root().join("tags"))?;
        Ok(escaped.into_iter().map(|name| name.replace("%2F", "/").replace("%25", "%")).collect())
    }

    fn repository(&self, name: &str) -> Result<PathBuf, Error> {
        let fine =
            !name.is_empty() && name.len() <= MAX_NAME && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !fine || name.contains('\0') {
            return Err(Error::Name(name.to_owned()));
        }
        let escaped = name.replace('%', "%25").replace('/', "%2F");
        Ok(self.root().join("tags").join(checked(&escaped)?))
    }
}

fn checked(name: &str) -> Result<&str, Error> {
    let fine = !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains(['/', '\0']);
    if fine { Ok(name) } else { Err(Error::Name(name.to_owned())) }
}

fn names(directory: &std::path::Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("reading", directory)(error)),
    };
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
