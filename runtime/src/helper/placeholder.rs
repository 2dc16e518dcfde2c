//! Placeholders: mount points that the root of a step lacks, created before it and removed after it without a trace.

use super::walk::{open_exactly, open_in};
use files::path::split;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Seconds and nanoseconds of the last access and the last modification.
pub(crate) type Times = [(i64, i64); 2];

/// Links that a path may lead through, as for the kernel.
const MAX_LINKS: usize = 40;

/// Mount points that were created for a step.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Placeholders {
    /// Paths, parents first, and whether they are directories.
    made: Vec<(Vec<u8>, bool)>,
    /// Directories in which something was made, with their access and modification times before.
    touched: Vec<(Vec<u8>, Times)>,
}

impl Placeholders {
    /// Opens `path` below `root` as a place to mount on, made if it is missing.
    pub(crate) fn place(&mut self, root: impl AsFd, path: &[u8], directory: bool) -> io::Result<OwnedFd> {
        let root = root.as_fd();
        match open_in(root, path, OFlags::PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let path = files::path::clean_path(path);
        for end in (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]) {
            let (above, name) = split(&path[..end]);
            match open_in(root, &path[..end], OFlags::PATH) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(_) => continue,
            }
            // The changes of the step hold no links of the layers below: what is removed there needs its own path.
            let above = real(root, above)?;
            let parent = open_in(root, &above, OFlags::PATH | OFlags::DIRECTORY)?;
            self.remember(&above, &parent)?;
            let as_directory = directory || end < path.len();
            let made = if as_directory {
                rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))
            } else {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
            };
            match made {
                Ok(()) => self.made.push((join(&above, name), as_directory)),
                // In a shared cache another step was faster.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        open_in(root, &path, OFlags::PATH)
    }

    fn remember(&mut self, path: &[u8], directory: &OwnedFd) -> io::Result<()> {
        let made_here = self.made.iter().any(|(made, _)| made == path);
        if made_here || self.touched.iter().any(|(touched, _)| touched == path) {
            return Ok(());
        }
        self.touched.push((path.to_vec(), times(directory)?));
        Ok(())
    }

    /// Writes down what was made, for those who read the changes while the step runs.
    pub(crate) fn write_down(&self, directory: &str) -> io::Result<()> {
        std::fs::write(place_of(directory), serde_json::to_vec(self)?)
    }

    /// Forgets what was written down: it was removed.
    pub(crate) fn forget(directory: &str) {
        let _ = std::fs::remove_file(place_of(directory));
    }

    /// Returns the paths that were written down, which are nobody's changes.
    pub(crate) fn written_down(directory: &str) -> HashSet<Vec<u8>> {
        let text = std::fs::read(place_of(directory)).unwrap_or_default();
        let known: Placeholders = serde_json::from_slice(&text).unwrap_or_default();
        known.made.into_iter().map(|made| made.0).collect()
    }

    /// Gives directories back the times that they had before something was made in them.
    pub(crate) fn restore_times(&self, root: impl AsFd) {
        self.touched.iter().for_each(|(path, times)| set_times(root.as_fd(), path, times));
    }

    /// Removes from the step's changes what is still as it was made; directories keep the times that the step left.
    pub(crate) fn remove(&self, changes: impl AsFd) {
        let changes = changes.as_fd();
        let left = |(path, _): &(Vec<u8>, Times)| {
            let known = open_in(changes, path, OFlags::PATH | OFlags::DIRECTORY).and_then(|found| times(&found));
            known.ok().map(|times| (path.clone(), times))
        };
        let left: Vec<_> = self.touched.iter().filter_map(left).collect();
        for (path, directory) in self.made.iter().rev() {
            let (above, name) = split(path);
            let Ok(parent) = open_in(changes, above, OFlags::PATH | OFlags::DIRECTORY) else { continue };
            if *directory {
                // A directory that the step put something into stays.
                let _ = rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR);
            } else {
                let empty =
                    rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|known| known.st_size == 0);
                if empty {
                    let _ = rustix::fs::unlinkat(&parent, name, AtFlags::empty());
                }
            }
        }
        left.iter().for_each(|(path, times)| set_times(changes, path, times));
    }
}

fn place_of(directory: &str) -> String {
    format!("{directory}/placeholders")
}

/// Returns `path` with all links followed, which stay below `root`.
fn real(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<Vec<u8>> {
    let (mut real, mut links) = (Vec::new(), 0);
    let mut waiting: Vec<Vec<u8>> = path.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec).collect();
    while let Some(part) = waiting.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                real.truncate(split(&real).0.len());
                continue;
            }
            _ => {}
        }
        let next = join(&real, &part);
        let found = open_exactly(root, &next, OFlags::PATH | OFlags::NOFOLLOW)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) != FileType::Symlink {
            real = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = rustix::fs::readlinkat(&found, c"", Vec::new())?.into_bytes();
        if target.starts_with(b"/") {
            real.clear();
        }
        waiting.extend(target.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec));
    }
    Ok(real)
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// Returns when a directory was read and changed.
pub(crate) fn times(directory: &OwnedFd) -> io::Result<Times> {
    let known = rustix::fs::statat(directory, c"", AtFlags::EMPTY_PATH)?;
    Ok([(known.st_atime, known.st_atime_nsec as i64), (known.st_mtime, known.st_mtime_nsec as i64)])
}

/// Sets when the directory `path` below `root` was read and changed.
pub(crate) fn set_times(root: BorrowedFd<'_>, path: &[u8], times: &Times) {
    let [last_access, last_modification] = times.map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec });
    // Opened for reading: a descriptor that only names a directory changes nothing of it.
    if let Ok(directory) = open_in(root, path, OFlags::RDONLY | OFlags::DIRECTORY) {
        let _ = rustix::fs::futimens(&directory, &Timestamps { last_access, last_modification });
    }
}
