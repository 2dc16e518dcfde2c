//! All files of a container as a tar: its changes and its layers as one tree.

use super::overlay::overlay_of;
use super::walk::open_directory;
use crate::container::ContainerId;
use crate::error::HelperError;
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::io::{self, Write};

/// Writes the files of the container `id`.
pub(crate) fn write(id: &ContainerId, out: &mut dyn Write) -> Result<(), HelperError> {
    let failed = |error: io::Error| HelperError::Inside(format!("reading the files of a container: {error}"));
    let directory = id.directory();
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| failed(error.into()))?;
    let layers = fs::read_to_string(format!("{directory}/layers")).map_err(failed)?;
    // Topmost first: the changes of the container, and below them its layers.
    let mut lower = vec![format!("{directory}/u")];
    lower.extend(layers.lines().map(str::to_owned));
    let target = format!("{directory}/m");
    overlay_of(lower, None, &target).map_err(failed)?;
    let root = open_directory(&target).map_err(failed)?;
    super::diff::write_tree(&root, out)
}
