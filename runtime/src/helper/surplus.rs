//! What the changes of a step hold beyond what its layer says, and which must go before they are the layer's snapshot.
//!
//! Overlay copies directories and files up that then stay as they were, and hides a directory's whole content where the
//! layer names what is gone. Above the layers that the step saw that makes no difference; above others it would.

use super::walk::{open_directory, open_in, split};
use super::{remove, unpack};
use rustix::fs::{OFlags, fremovexattr};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::fd::AsFd;

/// Where it is noted, beside the changes.
const NOTE: &str = "surplus";

/// What is found while the layer is written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Surplus {
    /// What is not in the layer because it is the same below, or nothing that a layer holds.
    unsaid: Vec<Vec<u8>>,
    /// Directories that hide what is below them, and the names that the layer says are removed from them.
    opaque: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

impl Surplus {
    /// Adds a path that the layer does not hold, with all below it.
    pub fn unsaid(&mut self, path: &[u8]) {
        self.unsaid.push(path.to_vec());
    }

    /// Adds a directory that hides what is below it.
    pub fn opaque(&mut self, path: &[u8], removed: &[Vec<u8>]) {
        self.opaque.push((path.to_vec(), removed.to_vec()));
    }

    /// Notes it for the run in `directory`.
    pub fn keep(&self, directory: &str) -> io::Result<()> {
        fs::write(format!("{directory}/{NOTE}"), serde_json::to_vec(self)?)
    }

    /// Makes the changes of the run in `directory` what the layer says, which must have been written.
    pub fn remove(directory: &str) -> io::Result<()> {
        let surplus: Surplus = serde_json::from_slice(&fs::read(format!("{directory}/{NOTE}"))?)?;
        let changes = open_directory(&format!("{directory}/u"))?;
        for (path, removed) in &surplus.opaque {
            let hiding = open_in(&changes, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            let times = super::stub::times(&hiding)?;
            fremovexattr(&hiding, unpack::OPAQUE)?;
            removed.iter().try_for_each(|name| unpack::whiteout(&hiding, name))?;
            super::stub::set_times(changes.as_fd(), path, &times);
        }
        for path in &surplus.unsaid {
            let (above, name) = split(path);
            let parent = open_in(&changes, above, OFlags::RDONLY | OFlags::DIRECTORY)?;
            let times = super::stub::times(&parent)?;
            remove::entry(parent.as_fd(), name)?;
            super::stub::set_times(changes.as_fd(), above, &times);
        }
        Ok(())
    }
}
