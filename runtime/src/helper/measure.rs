//! Counts what a step has on disk: what it changed, what it put into caches, and what it holds open without a name.

use super::walk::open_exactly;
use crate::protocol::DiskLimits;
use nix::unistd::Pid;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstatfs, openat, statat};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;

/// Bytes of the blocks that files are counted in.
const BLOCK: u64 = 512;
/// Bytes in which the file system notes where those of files are, at least.
const NOTES: u64 = 1 << 20;
/// Open files and mappings that are looked at.
const MAX_OPEN: usize = 100_000;
/// Kinds of file systems that are memory, not disk.
const MEMORY: [rustix::fs::FsWord; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6];
/// Starts of what the kernel calls mapped memory without a file on disk.
const UNNAMED: [&str; 3] = ["/memfd:", "/dev/", "/SYSV"];

/// A directory in which a step can write.
pub(crate) enum Written {
    /// The step's alone, and empty when it began.
    Own(OwnedFd),
    /// A cache that had something in it, and that others may use at the same time.
    Shared(OwnedFd),
}

/// Bytes and files on disk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Bytes, in whole blocks.
    pub bytes: u64,
    /// Files of all kinds.
    pub files: u64,
}

impl Used {
    /// Returns whether it is more than a step may use.
    pub(crate) fn exceeds(&self, limits: &DiskLimits) -> bool {
        self.exceeds_bytes(limits) || self.files > limits.files
    }

    /// Returns whether it is more bytes than a step may use; blocks in which the file system notes where others are do not
    /// count, or the largest file that is allowed would be too large.
    pub(crate) fn exceeds_bytes(&self, limits: &DiskLimits) -> bool {
        self.bytes > limits.bytes.saturating_add(limits.bytes / 128).saturating_add(NOTES)
    }

    fn add(&mut self, other: Used) {
        self.bytes += other.bytes;
        self.files += other.files;
    }
}

/// Measures the space that a step uses.
pub(crate) struct Measure {
    written: Vec<Written>,
    /// The processes of the whole sandbox.
    processes: Option<OwnedFd>,
    /// The second in which the step began.
    since: i64,
    limits: DiskLimits,
}

impl Measure {
    /// Prepares to measure what a step that begins now writes.
    pub(crate) fn new(written: Vec<Written>, limits: DiskLimits) -> Measure {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse).tv_sec;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let processes = openat(rustix::fs::CWD, "/proc", flags, Mode::empty()).ok();
        Measure { written, processes, since, limits }
    }

    /// Returns the file system that the step writes to.
    pub(crate) fn place(&self) -> Option<&OwnedFd> {
        self.written.first().map(|first| match first {
            Written::Own(place) | Written::Shared(place) => place,
        })
    }

    /// Counts, at most until it is too much; `grown` is what the file system has more than before the step.
    ///
    /// The size of caches and mappings is not known exactly: it counts only as far as the file system has grown.
    pub(crate) fn count(&self, step: Option<Pid>, grown: Used) -> Used {
        let (mut own, mut others) = (Used::default(), Used::default());
        for place in &self.written {
            match place {
                Written::Own(root) => own.add(self.walk(root, i64::MIN)),
                Written::Shared(root) => others.add(self.walk(root, self.since)),
            }
        }
        if let Some(step) = step {
            let open = self.nameless(step);
            own.bytes += open.held;
            others.bytes += open.mapped;
        }
        Used {
            bytes: own.bytes + others.bytes.min(grown.bytes.saturating_sub(own.bytes)),
            files: own.files + others.files.min(grown.files.saturating_sub(own.files)),
        }
    }

    /// Counts what is in a directory and was changed in the second `since` or later. Files that vanish meanwhile do not count.
    fn walk(&self, root: &OwnedFd, since: i64) -> Used {
        let mut total = Used::default();
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
                if known.st_ctime >= since {
                    total.add(Used { bytes: bytes(&known) / known.st_nlink.max(1), files: 1 });
                }
                if total.exceeds(&self.limits) {
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

    /// Counts files that the processes of a step hold although they have no name any more.
    fn nameless(&self, step: Pid) -> Nameless {
        let mut found = Nameless::default();
        let Some(processes) = &self.processes else { return found };
        let space = |id: &str| statat(processes, format!("{id}/ns/pid"), AtFlags::empty()).map(|known| known.st_ino);
        let (Ok(own), Ok(entries)) = (space(&step.to_string()), Dir::read_from(processes)) else { return found };
        let (mut seen, mut mapped) = (HashSet::new(), HashMap::new());
        for entry in entries.flatten() {
            let Ok(id) = entry.file_name().to_str() else { continue };
            if !id.starts_with(|first: char| first.is_ascii_digit()) || space(id) != Ok(own) {
                continue;
            }
            found.held += held(processes, id, &mut seen);
            maps(processes, id, &mut mapped);
            if seen.len() + mapped.len() > MAX_OPEN {
                break;
            }
        }
        found.mapped = mapped.into_values().sum();
        found
    }
}

/// Bytes of files without a name.
#[derive(Default)]
struct Nameless {
    /// Of those that are open.
    held: u64,
    /// Of the parts of files that are mapped.
    mapped: u64,
}

fn bytes(known: &Stat) -> u64 {
    known.st_blocks as u64 * BLOCK
}

/// Returns whether a file lies in memory.
pub(crate) fn is_in_memory(file: &OwnedFd) -> bool {
    fstatfs(file).is_ok_and(|known| MEMORY.contains(&known.f_type))
}

fn held(processes: &OwnedFd, id: &str, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let mut total = 0;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(descriptors) = openat(processes, format!("{id}/fd"), flags, Mode::empty()) else { return 0 };
    let Ok(entries) = Dir::read_from(&descriptors) else { return 0 };
    for entry in entries.flatten() {
        let Ok(known) = statat(&descriptors, entry.file_name(), AtFlags::empty()) else { continue };
        let is_file = FileType::from_raw_mode(known.st_mode) == FileType::RegularFile;
        if known.st_nlink > 0 || !is_file || seen.len() > MAX_OPEN || !seen.insert((known.st_dev, known.st_ino)) {
            continue;
        }
        let opened = openat(&descriptors, entry.file_name(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        if opened.is_ok_and(|file| !is_in_memory(&file)) {
            total += bytes(&known);
        }
    }
    total
}

/// Notes the mapped files of a process that have no name, with the bytes that are mapped of each.
fn maps(processes: &OwnedFd, id: &str, mapped: &mut HashMap<String, u64>) {
    let opened = openat(processes, format!("{id}/maps"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let Ok(file) = opened.map(File::from) else { return };
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(device), Some(inode)) = (fields.next(), fields.nth(2), fields.next()) else { continue };
        let name = fields.next().unwrap_or_default();
        if !line.ends_with(" (deleted)") || UNNAMED.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let Some((Some(start), Some(end))) = range.split_once('-').map(|(start, end)| (number(start), number(end)))
        else {
            continue;
        };
        let known = mapped.entry(format!("{device} {inode}")).or_default();
        *known = (*known).max(end.saturating_sub(start));
        if mapped.len() > MAX_OPEN {
            return;
        }
    }
}
