//! Volumes: directories that containers share and that outlive them. A record tells of each; the sandbox has the files.

use super::record::{Record, VolumeMount};
use super::store::{Containers, new_id, now};
use crate::Error;
use runtime::Sandbox;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Longest name.
const MAX_NAME: usize = 200;

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether nobody gave it a name: it goes with the container that it was made for.
    pub is_anonymous: bool,
}

/// The volumes of a data directory.
#[derive(Debug, Clone)]
pub struct Volumes {
    root: PathBuf,
}

impl Volumes {
    /// Opens the volumes of a data directory.
    pub fn open(data: &Path) -> Result<Volumes, Error> {
        let root = data.join("volumes");
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(Error::file("creating", &root))?;
        Ok(Volumes { root })
    }

    /// Keeps others from making or removing volumes while the result lives.
    pub fn lock(&self) -> Result<File, Error> {
        let path = self.root.join(".lock");
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("opening", &path))?;
        file.lock().map_err(Error::file("locking", &path))?;
        Ok(file)
    }

    /// Returns all volumes, by name.
    pub fn list(&self) -> Result<Vec<Volume>, Error> {
        let entries = fs::read_dir(&self.root).map_err(Error::file("reading", &self.root))?;
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // One that is removed meanwhile is not there any more.
            if let Some(name) = name.strip_suffix(".json")
                && let Ok(volume) = self.find(name)
            {
                found.push(volume);
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Returns the volume of this name.
    pub fn find(&self, name: &str) -> Result<Volume, Error> {
        let missing = || Error::NotFound(format!("get {name}: no such volume"));
        if check(name).is_err() {
            return Err(missing());
        }
        let path = self.path(name);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|_| Error::Damaged(path.display().to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
            Err(error) => Err(Error::file("reading", &path)(error)),
        }
    }

    /// Makes a volume, or returns the one that has the name; an empty name is chosen. The caller holds the lock.
    pub fn create(&self, name: &str, labels: BTreeMap<String, String>) -> Result<Volume, Error> {
        if !name.is_empty() {
            check(name)?;
            match self.find(name) {
                Err(Error::NotFound(_)) => {}
                found => return found,
            }
        }
        let is_anonymous = name.is_empty();
        let name = if is_anonymous { new_id()? } else { name.to_owned() };
        let volume = Volume { name, created: now(), labels, is_anonymous };
        let (path, temporary) = (self.path(&volume.name), self.root.join(format!(".{}", volume.name)));
        let text = serde_json::to_vec(&volume).map_err(|error| Error::Damaged(error.to_string()))?;
        fs::write(&temporary, text).map_err(Error::file("writing", &temporary))?;
        fs::rename(&temporary, &path).map_err(Error::file("writing", &path))?;
        Ok(volume)
    }

    /// Makes the volumes of a container that are not there yet, and names those without a name. The caller holds the lock.
    pub fn create_for(&self, mounts: &mut [VolumeMount]) -> Result<(), Error> {
        for mount in mounts {
            mount.volume = self.create(&mount.volume, BTreeMap::new())?.name;
        }
        Ok(())
    }

    /// Forgets the volumes without a name of a container that could not be made: they have no files yet.
    pub fn forget_anonymous(&self, mounts: &[VolumeMount]) {
        let anonymous = mounts.iter().filter(|mount| self.find(&mount.volume).is_ok_and(|volume| volume.is_anonymous));
        for mount in anonymous {
            let _ = fs::remove_file(self.path(&mount.volume));
        }
    }

    /// Removes a volume, unless a container has it. The caller holds the lock.
    pub fn remove(&self, name: &str, containers: &Containers, sandbox: &Sandbox) -> Result<(), Error> {
        self.find(name)?;
        let users: Vec<String> = users(name, containers)?;
        if !users.is_empty() {
            return Err(Error::Conflict(format!("remove {name}: volume is in use - [{}]", users.join(", "))));
        }
        sandbox.remove_volume(name)?;
        let path = self.path(name);
        fs::remove_file(&path).map_err(Error::file("removing", &path))
    }

    /// Removes the volumes without a name that a removed container had and no other one has.
    pub fn remove_anonymous(&self, containers: &Containers, record: &Record, sandbox: &Sandbox) -> Result<(), Error> {
        let _lock = self.lock()?;
        for mount in &record.volumes {
            if self.find(&mount.volume).is_ok_and(|volume| volume.is_anonymous)
                && users(&mount.volume, containers)?.is_empty()
            {
                self.remove(&mount.volume, containers, sandbox)?;
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.json"))
    }
}

/// Returns the ids of the containers that have a volume.
fn users(name: &str, containers: &Containers) -> Result<Vec<String>, Error> {
    let mut all = containers.list()?;
    all.retain(|container| container.record.volumes.iter().any(|mount| mount.volume == name));
    Ok(all.into_iter().map(|container| container.record.id).collect())
}

fn check(name: &str) -> Result<(), Error> {
    let is_fine = name.len() > 1
        && name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    match is_fine {
        true => Ok(()),
        false => Err(Error::Invalid(format!(
            "create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_docker_takes() {
        for name in ["db", "a.b_c-d", "0123456789abcdef"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "a", "-a", ".lock", "a/b", "a b", "ä1", "../x"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
