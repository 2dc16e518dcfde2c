//! Looks things up below a root that hostile files are in: links lead within the root, magic ones nowhere.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Opens `path` below `root`, links followed as if `root` were `/`.
pub fn open_in(root: impl AsFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

/// Opens `path` below `root` without following any link.
pub fn open_exactly(root: impl AsFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

/// Opens a directory of the sandbox's own, to look things up in it.
pub fn open_directory(path: &str) -> io::Result<OwnedFd> {
    Ok(openat(rustix::fs::CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Splits a path into what is before the last slash and what is after it.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
