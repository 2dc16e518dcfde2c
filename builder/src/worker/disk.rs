//! Measures how much room the parts of the data directory take that a worker sees, and removes what nobody needs.

use super::context::TaskContext;
use super::garbage::{self, Retention};
use database::{DiskPart, DiskUse};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long may be measured.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Bytes of the blocks that a file system counts in.
const BLOCK: u64 = 512;

/// Returns what takes up room; first removes what no build needs, if that is wanted.
pub(crate) fn measure(context: TaskContext<'_>, clean: bool) -> DiskUse {
    let TaskContext { services, settings } = context;
    if clean {
        garbage::collect(services, settings, Retention::pressed(settings));
    }
    let (lock, state) = (services.store.names_lock(), &services.sandbox.state);
    let images = lock.parent().map(Path::to_owned).unwrap_or_default();
    let parts: [(&str, Vec<PathBuf>); 6] = [
        ("Blobs of images and of the cache", vec![images.join("blobs")]),
        ("Indexes of layers", vec![images.join("indexes")]),
        ("Mirrors of repositories", vec![settings.git_dir.clone()]),
        ("Unpacked layers", vec![state.join("s")]),
        ("Cache mounts", vec![state.join("c")]),
        ("Containers and running builds", vec![state.join("r"), state.join("w")]),
    ];
    let mut walk = Walk { until: Instant::now() + TIMEOUT, seen: HashSet::new(), is_partial: false };
    let parts = parts.into_iter().map(|(name, places)| {
        let (bytes, files) =
            places.iter().map(|place| walk.size(place)).fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        DiskPart { name: name.to_owned(), bytes, files }
    });
    let parts = parts.collect();
    DiskUse { worker: settings.name.clone(), parts, is_partial: walk.is_partial }
}

/// A walk through directories.
struct Walk {
    until: Instant,
    /// Files with several names, by device and number.
    seen: HashSet<(u64, u64)>,
    /// Whether something could not be read, or took too long.
    is_partial: bool,
}

impl Walk {
    /// Returns the bytes that files below a directory take, and how many files there are.
    fn size(&mut self, place: &Path) -> (u64, u64) {
        let (mut bytes, mut files, mut open) = (0, 0, vec![place.to_owned()]);
        while let Some(directory) = open.pop() {
            if Instant::now() >= self.until {
                self.is_partial = true;
                break;
            }
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) => {
                    self.is_partial |= error.kind() != std::io::ErrorKind::NotFound;
                    continue;
                }
            };
            for entry in entries.flatten() {
                // A file that is removed meanwhile takes no room.
                let Ok(known) = entry.metadata() else { continue };
                if known.is_dir() {
                    open.push(entry.path());
                } else if known.nlink() < 2 || self.seen.insert((known.dev(), known.ino())) {
                    bytes += known.blocks() * BLOCK;
                    files += 1;
                }
            }
        }
        (bytes, files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_two_names_takes_its_room_once() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("d")).unwrap();
        fs::write(place.path().join("d/one"), vec![1; 100_000]).unwrap();
        fs::hard_link(place.path().join("d/one"), place.path().join("two")).unwrap();
        let mut walk = Walk { until: Instant::now() + TIMEOUT, seen: HashSet::new(), is_partial: false };
        let (bytes, files) = walk.size(place.path());
        assert!((100_000..200_000).contains(&bytes) && files == 1, "{bytes} {files}");
        assert_eq!((walk.size(&place.path().join("nosuch")), walk.is_partial), ((0, 0), false));
        walk.until = Instant::now();
        assert_eq!((walk.size(place.path()), walk.is_partial), ((0, 0), true));
    }
}
