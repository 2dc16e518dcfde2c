//! Checks that a directory is on a file system that can hold the layers of sandboxes.

use crate::Error;
use rustix::fs::{XattrFlags, removexattr, setxattr};
use rustix::io::Errno;
use std::path::Path;

/// Attribute that is tried; overlay keeps what a layer removes in others of the kind.
const ATTRIBUTE: &str = "user.slipway";

/// Checks that files in `directory` can have the attributes that layers need; the error says what would be right.
pub fn check_filesystem(directory: &Path) -> Result<(), Error> {
    match setxattr(directory, ATTRIBUTE, b"", XattrFlags::empty()) {
        Ok(()) => drop(removexattr(directory, ATTRIBUTE)),
        Err(Errno::OPNOTSUPP) => {
            return Err(Error::Unsupported(format!(
                "`{}` is on a file system without attributes of files (user.*), which layers of images need: put the data directory on ext4, xfs or btrfs, or choose another with --data-dir",
                directory.display()
            )));
        }
        Err(error) => {
            return Err(Error::system(format!("setting an attribute of `{}`", directory.display()))(error.into()));
        }
    }
    Ok(())
}
