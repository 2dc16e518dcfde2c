//! The changes of a step as a layer: read from the overlay's upper directory alone, compared with what was below.

use super::placeholder::Placeholders;
use super::redundant_changes::{self, RedundantChanges};
use super::walk::open_directory;
use crate::error::HelperError;
use files::tar::{Entry, EntryKind, Writer};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

/// Set on a directory that hides what is below it.
const CAPABILITY: &CStr = c"security.capability";

/// Writes the changes of the run in `directory`; times after `latest` become it.
pub(crate) fn write(directory: &str, latest: Option<i64>, out: &mut dyn Write) -> Result<(), HelperError> {
    let mut diff = Diff::new(Writer::new(out).until(latest));
    diff.changes(directory)?;
    let failed = |error: io::Error| HelperError::Inside(format!("reading the changes of a step: {error}"));
    diff.redundant.keep(directory).map_err(failed)?;
    diff.writer.finish().map_err(failed)?;
    Ok(())
}

/// Writes the paths of all changes in `directory`: `A`, `C` or `D`, the path, and a zero byte.
pub(crate) fn list(directory: &str, out: &mut dyn Write) -> Result<(), HelperError> {
    let mut nowhere = io::sink();
    let mut diff = Diff::new(Writer::new(&mut nowhere as &mut dyn Write));
    diff.listing = Some(Listing::default());
    // A container that was never started has changed nothing.
    if std::fs::exists(format!("{directory}/layers")).unwrap_or(true) {
        diff.changes(directory)?;
    }
    let failed = |error: io::Error| HelperError::Inside(format!("listing the changes of a container: {error}"));
    for (kind, path) in diff.listing.unwrap_or_default().changes {
        out.write_all(&[&[kind, b'/'], path.as_slice(), &[0]].concat()).map_err(failed)?;
    }
    Ok(())
}

/// Writes all files below `root`.
pub(crate) fn write_tree(root: &OwnedFd, out: &mut dyn Write) -> Result<(), HelperError> {
    let failed = |error: io::Error| HelperError::Inside(format!("reading the files of a container: {error}"));
    let mut diff = Diff::new(Writer::new(out));
    diff.directory(&open(root, c".").map_err(failed)?, &[], b"").map_err(failed)?;
    diff.writer.finish().map_err(failed)?;
    Ok(())
}

/// Writes the file or directory `name` of `parent` under another name; what is mounted below it is left out.
pub(crate) fn write_entry(parent: &OwnedFd, name: &[u8], shown: &[u8], out: &mut dyn Write) -> Result<(), HelperError> {
    let failed = |error: io::Error| HelperError::Inside(format!("reading the files of a container: {error}"));
    let mut diff = Diff::new(Writer::new(out));
    diff.device = Some(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| failed(error.into()))?.st_dev);
    diff.name(parent, name, shown, None, &[]).map_err(failed)?;
    diff.writer.finish().map_err(failed)?;
    Ok(())
}

struct Diff<'o> {
    writer: Writer<&'o mut dyn Write>,
    /// Directories on the way that are written when something in them is.
    pending: Vec<Option<Entry>>,
    /// First names of files with several.
    names: HashMap<(u64, u64), Vec<u8>>,
    redundant: RedundantChanges,
    /// The file system whose directories are looked into; `None` for any.
    device: Option<u64>,
    /// Mount points of a container that runs, which are not its changes as long as they are empty.
    placeholders: HashSet<Vec<u8>>,
    /// Paths that are listed instead of written.
    listing: Option<Listing>,
}

/// Changes by their paths.
#[derive(Default)]
struct Listing {
    changes: Vec<(u8, Vec<u8>)>,
    /// Paths that the layers below have.
    known: HashSet<Vec<u8>>,
}

/// An entry of the layers below.
struct Below {
    stat: Stat,
    /// The layer that has it.
    parent: usize,
    /// The directories that it is made of, topmost first.
    directories: Vec<OwnedFd>,
}

impl<'o> Diff<'o> {
    fn new(writer: Writer<&'o mut dyn Write>) -> Diff<'o> {
        let (pending, names, redundant, placeholders) = Default::default();
        Diff { writer, pending, names, redundant, device: None, placeholders, listing: None }
    }

    /// Goes through what changed in the run in `directory`.
    fn changes(&mut self, directory: &str) -> Result<(), HelperError> {
        let failed = |error: io::Error| HelperError::Inside(format!("reading the changes of a step: {error}"));
        let layers = std::fs::read_to_string(format!("{directory}/layers")).map_err(failed)?;
        let mut below = Vec::new();
        for layer in layers.lines() {
            below.push(open_directory(layer).map_err(failed)?);
        }
        let root = open_directory(&format!("{directory}/u")).map_err(failed)?;
        self.placeholders = Placeholders::written_down(directory);
        self.directory(&open(&root, c".").map_err(failed)?, &below, b"").map_err(failed)
    }

    /// Writes an entry that has no content, or lists it.
    fn bare(&mut self, entry: &Entry) -> io::Result<()> {
        let Some(listing) = &mut self.listing else { return self.writer.bare(entry) };
        let kind = if listing.known.contains(&entry.path) { b'C' } else { b'A' };
        listing.changes.push((kind, entry.path.clone()));
        Ok(())
    }
    /// Writes what changed in `directory`; `below` are the same directory in the layers below, topmost first.
    fn directory(&mut self, directory: &OwnedFd, below: &[OwnedFd], path: &[u8]) -> io::Result<()> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        for entry in Dir::read_from(directory)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        // An opaque directory hides what it does not name: those names are removed one by one.
        let opaque = is_opaque(directory);
        let hidden = if opaque { missing_names(below, &names)? } else { Vec::new() };
        if opaque {
            self.redundant.opaque(path, &hidden);
        }
        names.extend(hidden.iter().cloned());
        names.sort();
        for name in names {
            let path = if path.is_empty() { name.clone() } else { [path, b"/", &name].concat() };
            let known = find(below, &name)?;
            if hidden.binary_search(&name).is_ok() {
                self.whiteout(&path)?;
                continue;
            }
            self.name(directory, &name, &path, known.as_ref(), below)?;
        }
        Ok(())
    }

    fn name(
        &mut self,
        directory: &OwnedFd,
        name: &[u8],
        path: &[u8],
        known: Option<&Below>,
        below: &[OwnedFd],
    ) -> io::Result<()> {
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if let Some(listing) = self.listing.as_mut().filter(|_| known.is_some()) {
            listing.known.insert(path.to_vec());
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_placeholder = known.is_none() && self.placeholders.contains(path);
        if is_placeholder && kind == FileType::RegularFile && stat.st_size == 0 {
            return Ok(());
        }
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            if known.is_some() {
                return self.whiteout(path);
            }
            self.redundant.not_in_layer(path);
            return Ok(());
        }
        if kind == FileType::Directory {
            let opened = open(directory, name)?;
            let entry = entry(path, EntryKind::Directory, &stat, self.attributes(&opened, path));
            let same = is_placeholder || known.is_some_and(|known| same_directory(&stat, &known.stat));
            self.pending.push(Some(entry));
            if !same {
                self.write_pending()?;
            }
            if self.device.is_some_and(|device| device != stat.st_dev) {
                self.pending.pop();
                return Ok(());
            }
            let inner: &[OwnedFd] = known.map_or(&[], |known| &known.directories);
            self.directory(&opened, inner, path)?;
            if self.pending.pop().flatten().is_some() {
                self.redundant.not_in_layer(path);
            }
            return Ok(());
        }
        // A file that has another name now is written under both, so that they stay one file.
        if let Some(known) = known
            && stat.st_nlink == 1
            && self.is_same(directory, name, &stat, known, below)?
        {
            self.redundant.not_in_layer(path);
            return Ok(());
        }
        self.file(directory, name, &stat, path)
    }

    fn file(&mut self, directory: &OwnedFd, name: &[u8], stat: &Stat, path: &[u8]) -> io::Result<()> {
        let identity = (stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1 {
            if let Some(first) = self.names.get(&identity) {
                let link = entry(path, EntryKind::HardLink { target: first.clone() }, stat, None);
                self.write_pending()?;
                return self.bare(&link);
            }
            self.names.insert(identity, path.to_vec());
        }
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let file = open_file(directory, name)?;
                let attributes = self.attributes(&file, path);
                let entry = entry(path, EntryKind::File { size: stat.st_size as u64 }, stat, attributes);
                self.write_pending()?;
                if self.listing.is_some() {
                    return self.bare(&entry);
                }
                return self.writer.entry(&entry, &mut File::from(file));
            }
            FileType::Symlink => EntryKind::Symlink { target: readlinkat(directory, name, Vec::new())?.into_bytes() },
            FileType::Fifo => EntryKind::Fifo,
            FileType::CharacterDevice => EntryKind::Character { major, minor },
            FileType::BlockDevice => EntryKind::Block { major, minor },
            _ => {
                self.redundant.not_in_layer(path);
                return Ok(());
            }
        };
        self.write_pending()?;
        self.bare(&entry(path, kind, stat, None))
    }

    /// Returns the capability of a file or directory; notes other attributes, which layers do not hold.
    fn attributes(&mut self, file: &OwnedFd, path: &[u8]) -> Option<Vec<u8>> {
        // Most files have none at all.
        if rustix::fs::flistxattr(file, &mut [0u8; 64]).is_ok_and(|length| length == 0) {
            return None;
        }
        if !redundant_changes::attributes(file).unwrap_or_default().is_empty() {
            self.redundant.attributes(path);
        }
        capability(file)
    }

    fn whiteout(&mut self, path: &[u8]) -> io::Result<()> {
        self.write_pending()?;
        if let Some(listing) = &mut self.listing {
            listing.changes.push((b'D', path.to_vec()));
            return Ok(());
        }
        let kind = EntryKind::File { size: 0 };
        self.writer.bare(&Entry {
            path: files::whiteout::of(path),
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        })
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let entries: Vec<Entry> = self.pending.iter_mut().filter_map(Option::take).collect();
        entries.iter().try_for_each(|entry| self.bare(entry))
    }

    /// Returns whether a file is what it was: overlay copies whole files up for changes that change nothing.
    fn is_same(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        stat: &Stat,
        known: &Below,
        below: &[OwnedFd],
    ) -> io::Result<bool> {
        let old = &known.stat;
        let facts = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev, stat.st_size);
        let times = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec);
        if facts(stat) != facts(old) || times(stat) != times(old) {
            return Ok(false);
        }
        let parent = &below[known.parent];
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => Ok(readlinkat(directory, name, Vec::new())? == readlinkat(parent, name, Vec::new())?),
            FileType::RegularFile => {
                let (new, old) = (open_file(directory, name)?, open_file(parent, name)?);
                if capability(&new) != capability(&old) {
                    return Ok(false);
                }
                // Size and time may hide a change: programs set them back, and archives have times of whole seconds.
                same_content(File::from(new), File::from(old))
            }
            _ => Ok(true),
        }
    }
}

fn open(parent: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

fn open_file(parent: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat(parent, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}

fn entry(path: &[u8], kind: EntryKind, stat: &Stat, capability: Option<Vec<u8>>) -> Entry {
    let xattrs = capability.into_iter().map(|value| (CAPABILITY.to_bytes().to_vec(), value)).collect();
    let (uid, gid) = (stat.st_uid, stat.st_gid);
    Entry { path: path.to_vec(), kind, mode: stat.st_mode & 0o7777, uid, gid, mtime: stat.st_mtime, xattrs }
}

fn same_directory(new: &Stat, old: &Stat) -> bool {
    (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)
}

fn capability(file: impl AsFd) -> Option<Vec<u8>> {
    let mut buffer = [0u8; 64];
    let length = rustix::fs::fgetxattr(file, CAPABILITY, &mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

fn is_opaque(directory: impl AsFd) -> bool {
    let mut buffer = [0u8; 8];
    rustix::fs::fgetxattr(directory, super::unpack::OPAQUE, &mut buffer).is_ok_and(|length| buffer[..length] == *b"y")
}

/// Finds `name` in a stack of directories.
fn find(below: &[OwnedFd], name: &[u8]) -> io::Result<Option<Below>> {
    let mut found: Option<Below> = None;
    for (position, layer) in below.iter().enumerate() {
        let stat = match statat(layer, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(error) => return Err(error.into()),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Directory {
            // A whiteout ends the search, and so does a file that a directory above it hides.
            let whiteout = kind == FileType::CharacterDevice && stat.st_rdev == 0;
            if found.is_none() && !whiteout {
                found = Some(Below { stat, parent: position, directories: Vec::new() });
            }
            break;
        }
        let directory = open(layer, name)?;
        let opaque = is_opaque(&directory);
        let known = found.get_or_insert_with(|| Below { stat, parent: position, directories: Vec::new() });
        known.directories.push(directory);
        if opaque {
            break;
        }
    }
    Ok(found)
}

/// Returns the names that a stack of directories has and `present` does not.
fn missing_names(below: &[OwnedFd], present: &[Vec<u8>]) -> io::Result<Vec<Vec<u8>>> {
    let mut missing = std::collections::BTreeSet::new();
    for layer in below {
        for entry in Dir::read_from(layer_directory(layer)?.as_fd())? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." && !present.contains(&name) && find(below, &name)?.is_some() {
                missing.insert(name);
            }
        }
    }
    Ok(missing.into_iter().collect())
}

fn layer_directory(layer: &OwnedFd) -> io::Result<OwnedFd> {
    open(layer, c".")
}

fn same_content(one: impl Read, other: impl Read) -> io::Result<bool> {
    let (mut one, mut other) =
        (io::BufReader::with_capacity(64 * 1024, one), io::BufReader::with_capacity(64 * 1024, other));
    loop {
        let (left, right) = (io::BufRead::fill_buf(&mut one)?, io::BufRead::fill_buf(&mut other)?);
        let length = left.len().min(right.len());
        if left[..length] != right[..length] || left.len().min(1) != right.len().min(1) {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
        io::BufRead::consume(&mut one, length);
        io::BufRead::consume(&mut other, length);
    }
}
