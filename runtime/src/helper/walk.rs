//! Looks things up below a root that hostile files are in: links lead within the root, magic ones nowhere.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// How often the kernel is asked again.
const TRIES: u32 = 1000;

/// Opens `path` below `root`, links followed as if `root` were `/`.
pub(crate) fn open_in(root: impl AsFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    open(root, path, flags, resolve)
}

/// Opens `path` below `root` without following any link.
pub(crate) fn open_exactly(root: impl AsFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    open(root, path, flags, resolve)
}

/// Opens `path`, again where the kernel cannot tell whether `..` led out: a rename anywhere meanwhile is enough for that.
fn open(root: impl AsFd, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
    let root = root.as_fd();
    let mut tries = 0;
    loop {
        match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if tries < TRIES => tries += 1,
            other => return Ok(other?),
        }
    }
}

/// Opens a directory of the sandbox's own, to look things up in it.
pub(crate) fn open_directory(path: &str) -> io::Result<OwnedFd> {
    Ok(openat(rustix::fs::CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
