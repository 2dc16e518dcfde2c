//! Mount points that a step's root does not have: made for it, removed after it, and no trace of them left.

use super::walk::{open_in, split};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Seconds and nanoseconds of the last access and the last modification.
type Times = [(i64, i64); 2];

/// What was made for a step.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Stubs {
    /// Paths, parents first, and whether they are directories.
    made: Vec<(Vec<u8>, bool)>,
    /// Directories in which something was made, with their access and modification times before.
    touched: Vec<(Vec<u8>, Times)>,
}

impl Stubs {
    /// Opens `path` below `root` as a place to mount on, made if it is missing.
    pub fn place(&mut self, root: impl AsFd, path: &[u8], directory: bool) -> io::Result<OwnedFd> {
        let root = root.as_fd();
        match open_in(root, path, OFlags::PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let path = crate::tar::clean_path(path);
        for end in (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]) {
            let (above, name) = split(&path[..end]);
            match open_in(root, &path[..end], OFlags::PATH) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(_) => continue,
            }
            let parent = open_in(root, above, OFlags::PATH | OFlags::DIRECTORY)?;
            self.remember(above, &parent)?;
            let as_directory = directory || end < path.len();
            if as_directory {
                rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
            } else {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
            }
            self.made.push((path[..end].to_vec(), as_directory));
        }
        open_in(root, &path, OFlags::PATH)
    }

    fn remember(&mut self, path: &[u8], directory: &OwnedFd) -> io::Result<()> {
        let made_here = self.made.iter().any(|(made, _)| made == path);
        if made_here || self.touched.iter().any(|(touched, _)| touched == path) {
            return Ok(());
        }
        let known = rustix::fs::statat(directory, c"", AtFlags::EMPTY_PATH)?;
        let times = [(known.st_atime, known.st_atime_nsec as i64), (known.st_mtime, known.st_mtime_nsec as i64)];
        self.touched.push((path.to_vec(), times));
        Ok(())
    }

    /// Removes from the step's changes what is still as it was made.
    pub fn remove(&self, changes: impl AsFd) {
        let changes = changes.as_fd();
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
        for (path, times) in &self.touched {
            let [last_access, last_modification] = times.map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec });
            let times = Timestamps { last_access, last_modification };
            let target = if path.is_empty() { b".".as_slice() } else { path };
            let _ = rustix::fs::utimensat(changes, target, &times, AtFlags::SYMLINK_NOFOLLOW);
        }
    }
}
