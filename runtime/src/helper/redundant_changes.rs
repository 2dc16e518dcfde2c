//! Overlay copy-ups that the layer of a step does not record; removed before the upper directory becomes its snapshot.
//!
//! Overlay copies directories and files up that then stay as they were, and hides a directory's whole content where the
//! layer names what is gone. Above the layers that the step saw that makes no difference; above others it would.

use super::walk::{open_directory, open_exactly, open_in};
use super::{remove, unpack};
use files::path::split;
use rustix::fs::{OFlags, flistxattr, fremovexattr};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::fd::AsFd;

/// File beside the upper directory that lists them.
const NOTE: &str = "redundant-changes";

/// Bytes that the names of a file's attributes can have.
const MAX_NAMES: usize = 64 * 1024;

/// Redundant changes, found while the layer is written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RedundantChanges {
    /// Paths that are not in the layer: the same as below, or of a kind that no layer holds.
    not_in_layer: Vec<Vec<u8>>,
    /// Directories that hide what is below them, and the names that the layer says are removed from them.
    opaque: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// Files and directories with attributes that layers do not hold: access lists and those of users.
    attributes: Vec<Vec<u8>>,
}

impl RedundantChanges {
    /// Adds a path that the layer does not hold, with all below it.
    pub(crate) fn not_in_layer(&mut self, path: &[u8]) {
        self.not_in_layer.push(path.to_vec());
    }

    /// Adds a directory that hides what is below it.
    pub(crate) fn opaque(&mut self, path: &[u8], removed: &[Vec<u8>]) {
        self.opaque.push((path.to_vec(), removed.to_vec()));
    }

    /// Adds a file or directory with attributes of which its layer says nothing.
    pub(crate) fn attributes(&mut self, path: &[u8]) {
        self.attributes.push(path.to_vec());
    }

    /// Writes the list for the run in `directory`.
    pub(crate) fn keep(&self, directory: &str) -> io::Result<()> {
        fs::write(format!("{directory}/{NOTE}"), serde_json::to_vec(self)?)
    }

    /// Removes them from the upper directory of the run in `directory`, whose layer must have been written.
    pub(crate) fn remove(directory: &str) -> io::Result<()> {
        let redundant: RedundantChanges = serde_json::from_slice(&fs::read(format!("{directory}/{NOTE}"))?)?;
        let changes = open_directory(&format!("{directory}/u"))?;
        for path in &redundant.attributes {
            let file = open_exactly(&changes, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
            attributes(&file)?.iter().try_for_each(|name| fremovexattr(&file, name.as_slice()))?;
        }
        for (path, removed) in &redundant.opaque {
            let hiding = open_in(&changes, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            let times = super::placeholder::times(&hiding)?;
            fremovexattr(&hiding, unpack::OPAQUE)?;
            removed.iter().try_for_each(|name| unpack::whiteout(&hiding, name))?;
            super::placeholder::set_times(changes.as_fd(), path, &times);
        }
        for path in &redundant.not_in_layer {
            let (above, name) = split(path);
            let parent = open_in(&changes, above, OFlags::RDONLY | OFlags::DIRECTORY)?;
            let times = super::placeholder::times(&parent)?;
            remove::entry(parent.as_fd(), name)?;
            super::placeholder::set_times(changes.as_fd(), above, &times);
        }
        Ok(())
    }
}

/// Returns the names of the attributes of a file that layers do not hold and steps can set.
pub(crate) fn attributes(file: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = vec![0u8; MAX_NAMES];
    let length = flistxattr(file, &mut names)?;
    let names = names[..length].split(|byte| *byte == 0).filter(|name| {
        let of_users = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        of_users || name.starts_with(b"system.posix_acl_")
    });
    Ok(names.map(<[u8]>::to_vec).collect())
}
