//! Watches what a step leaves on disk: a look costs one system call, and only a suspicion costs a walk.
//!
//! A limit of the file system itself would need quotas, which few have. What others write at the same time raises a
//! suspicion, too, but only what the step's own directory holds counts against its limits.

use super::walk::{open_directory, open_exactly};
use crate::DiskFull;
use crate::protocol::DiskLimits;
use rustix::fs::{AtFlags, Dir, FileType, OFlags, StatVfs, statat};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Bytes of the blocks that files are counted in.
const BLOCK: u64 = 512;
/// A walk is followed by a rest of this many times its duration.
const REST: u32 = 10;

/// Looks after the directory that holds a step's changes.
pub struct Watch {
    directory: Option<OwnedFd>,
    limits: DiskLimits,
    /// What was used when the step had nothing, as far as is known.
    start: Used,
    next_walk: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    bytes: u64,
    files: u64,
}

impl Watch {
    /// Starts to watch `directory`, which is empty or nearly so.
    pub fn new(directory: &str, limits: DiskLimits) -> Watch {
        let directory = open_directory(directory).ok();
        let mut watch = Watch { directory, limits, start: Used::default(), next_walk: Instant::now() };
        if let Some(known) = watch.statistics() {
            watch.start = used(&known);
        }
        watch
    }

    /// Tells what the step has too much of.
    pub fn look(&mut self) -> Option<DiskFull> {
        let known = self.statistics()?;
        if known.f_bavail.saturating_mul(known.f_frsize) < self.limits.reserve {
            return Some(DiskFull::Reserve(self.limits.reserve));
        }
        // Where files are numbered in advance, a hundredth of the numbers stays free.
        if known.f_files > 0 && known.f_favail < known.f_files / 100 {
            return Some(DiskFull::Files(self.limits.files));
        }
        let now = used(&known);
        let suspected = now.bytes.saturating_sub(self.start.bytes) > self.limits.bytes
            || now.files.saturating_sub(self.start.files) > self.limits.files;
        if !suspected || Instant::now() < self.next_walk {
            return None;
        }
        let began = Instant::now();
        let measured = self.walk();
        self.next_walk = Instant::now() + began.elapsed() * REST + Duration::from_millis(200);
        self.start.bytes = now.bytes.saturating_sub(measured.bytes);
        self.start.files = now.files.saturating_sub(measured.files);
        if measured.bytes > self.limits.bytes {
            return Some(DiskFull::Bytes(self.limits.bytes));
        }
        (measured.files > self.limits.files).then_some(DiskFull::Files(self.limits.files))
    }

    fn statistics(&self) -> Option<StatVfs> {
        rustix::fs::fstatvfs(self.directory.as_ref()?).ok()
    }

    /// Counts what is in the directory, at most until it is too much. What vanishes meanwhile does not count.
    fn walk(&self) -> Used {
        let mut total = Used::default();
        let Some(root) = &self.directory else { return total };
        // Names, not descriptors, are kept for later: there may be any number of directories side by side.
        let mut left: Vec<Vec<u8>> = vec![Vec::new()];
        while let Some(path) = left.pop() {
            let Ok(directory) = open_exactly(root, &path, OFlags::RDONLY | OFlags::DIRECTORY) else { continue };
            let Ok(entries) = Dir::read_from(&directory) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                let Ok(known) = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
                total.files += 1;
                total.bytes += known.st_blocks as u64 * BLOCK / known.st_nlink.max(1);
                if total.bytes > self.limits.bytes || total.files > self.limits.files {
                    return total;
                }
                if FileType::from_raw_mode(known.st_mode) == FileType::Directory {
                    left.push(if path.is_empty() {
                        name.to_bytes().to_vec()
                    } else {
                        [&path, &b"/"[..], name.to_bytes()].concat()
                    });
                }
            }
        }
        total
    }
}

fn used(known: &StatVfs) -> Used {
    Used {
        bytes: known.f_blocks.saturating_sub(known.f_bfree).saturating_mul(known.f_frsize),
        files: known.f_files.saturating_sub(known.f_ffree),
    }
}
