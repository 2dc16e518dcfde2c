//! Files of this process for its own account alone.

use nix::sys::stat::{Mode, umask};

/// Lets files and directories that this process makes from now on be its account's alone. Steps of builds have the usual mask
/// all the same.
pub fn keep_files_private() {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}
