//! Gives a directory the name of a snapshot, unless another process was faster.

use super::remove;
use crate::error::HelperError;
use crate::protocol::Answer;

/// Renames `from` to the snapshot `to`; if that exists already, it is the same, and `from` is removed.
pub(crate) fn snapshot(from: &str, to: &str) -> Answer<()> {
    let outcome =
        rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, rustix::fs::RenameFlags::NOREPLACE);
    match outcome {
        Ok(()) => Ok(()),
        // The same snapshot exists already.
        Err(rustix::io::Errno::EXIST) => remove::tree(from).map_err(HelperError::inside("removing a snapshot")),
        Err(error) => Err(HelperError::inside("renaming a snapshot")(error.into())),
    }
}
