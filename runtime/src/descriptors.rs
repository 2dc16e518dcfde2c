//! File descriptors of this process.

use nix::libc;
use std::io;

/// Closes all descriptors from `first` on.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: closing descriptors that no Rust value of this process owns: it has just been started.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
