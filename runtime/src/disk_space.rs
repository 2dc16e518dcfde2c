//! The space on the disk of a path.

use std::io;
use std::path::Path;

/// The space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of it.
    pub total: u64,
    /// Bytes that files of this process may still take.
    pub available: u64,
}

/// Returns the space of the file system that `path` is on.
pub fn disk_space(path: &Path) -> io::Result<DiskSpace> {
    let known = rustix::fs::statvfs(path)?;
    Ok(DiskSpace { total: known.f_blocks * known.f_frsize, available: known.f_bavail * known.f_frsize })
}
