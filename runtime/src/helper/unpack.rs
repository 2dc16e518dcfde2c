//! Unpacks a layer: every path is opened below the snapshot's root, whiteouts become overlay's.

use super::owner::Owner;
use super::walk::open_in;
use super::{remove, walk};
use crate::error::HelperError;
use crate::protocol::{Answer, Conversation, FrameReader};
use files::path::{clean_path, split};
use files::size::Size;
use files::tar::{Entry, EntryKind, Reader};
use files::whiteout::Marker;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

/// Bytes of the paths of directories that a layer may have files in without describing them: they are kept in memory.
const MAX_IMPLIED: usize = 16 * 1024 * 1024;

/// The attribute with which a step makes a directory of a lower layer opaque.
pub(crate) const OPAQUE: &str = "user.overlay.opaque";

/// The size that a layer may have when it is unpacked.
pub(crate) struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Number of entries.
    pub entries: u64,
}

/// Unpacks the tar that comes in frames to `temporary` and renames it to `snapshot`; at most `limits`.
///
/// Keeps nothing of a layer that does not describe all its directories, and returns those.
pub(crate) fn layer(
    conversation: &mut Conversation,
    temporary: &str,
    snapshot: &str,
    limits: &Limits,
) -> Answer<Vec<Vec<u8>>> {
    let inside = |doing: &str| HelperError::inside(format!("{doing} a layer"));
    std::fs::create_dir(temporary).map_err(inside("making the directory of"))?;
    let implied = unpack(conversation, temporary, limits);
    if !matches!(&implied, Ok(implied) if implied.is_empty()) {
        let _ = remove::tree(temporary);
        return implied.map(|implied| implied.into_iter().collect());
    }
    super::rename::snapshot(temporary, snapshot).map(|()| Vec::new())
}

/// Unpacks the tar that comes in frames into the directory `prefix` below `root`; at most `limits`.
pub(crate) fn into(root: OwnedFd, prefix: &[u8], conversation: &mut Conversation, limits: &Limits) -> Answer<()> {
    let mut unpacker = Unpacker::new(root);
    unpacker.copied_to = Some(prefix.to_vec());
    unpack_all(unpacker, conversation, limits).map(drop)
}

/// Returns the directories that the layer has something in and does not describe.
fn unpack(conversation: &mut Conversation, temporary: &str, limits: &Limits) -> Answer<BTreeSet<Vec<u8>>> {
    let root = walk::open_directory(temporary).map_err(HelperError::inside("opening the directory of a layer"))?;
    unpack_all(Unpacker::new(root), conversation, limits)
}

fn unpack_all(mut unpacker: Unpacker, conversation: &mut Conversation, limits: &Limits) -> Answer<BTreeSet<Vec<u8>>> {
    let mut reader = Reader::new(FrameReader::new(conversation));
    let (mut bytes_left, mut entries_left) = (limits.bytes, limits.entries);
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => return Err(HelperError::Layer(format!("{error}"))),
        };
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        entries_left = entries_left
            .checked_sub(1)
            .ok_or_else(|| HelperError::Layer(format!("the layer has more than {} entries", limits.entries)))?;
        bytes_left = bytes_left
            .checked_sub(entry.size())
            .ok_or_else(|| HelperError::Layer(format!("the layer has more than {}", Size(limits.bytes))))?;
        unpacker
            .entry(&entry, &mut reader)
            .map_err(|error| HelperError::Layer(format!("unpacking `{name}`: {error}")))?;
    }
    // Bytes after the end of the tar belong to the stream; its end says that nothing is missing.
    io::copy(&mut reader.into_inner(), &mut io::sink()).map_err(|error| HelperError::Layer(error.to_string()))?;
    unpacker.finish().map_err(HelperError::inside("setting the times of directories"))
}

struct Unpacker {
    root: OwnedFd,
    /// The directory of the last entry, which is often that of the next.
    parent: Option<(Vec<u8>, OwnedFd)>,
    directories: Vec<(Vec<u8>, i64)>,
    /// Directories that no entry has described yet.
    implied: BTreeSet<Vec<u8>>,
    implied_bytes: usize,
    /// The directory that a tar is copied to, which is not a layer.
    copied_to: Option<Vec<u8>>,
}

impl Unpacker {
    fn new(root: OwnedFd) -> Unpacker {
        let (directories, implied) = (Vec::new(), BTreeSet::new());
        Unpacker { root, parent: None, directories, implied, implied_bytes: 0, copied_to: None }
    }

    /// Returns the path below the root that a path of the tar means.
    fn path(&self, path: &[u8]) -> Vec<u8> {
        let path = clean_path(path);
        match self.copied_to.as_deref() {
            None | Some(b"") => path,
            Some(prefix) => [prefix, b"/", &path].concat(),
        }
    }

    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        if self.copied_to.is_some() && clean_path(&entry.path).is_empty() {
            return Ok(());
        }
        let path = self.path(&entry.path);
        let (directory, name) = split(&path);
        if name.is_empty() {
            return if entry.kind == EntryKind::Directory { self.root_metadata(entry) } else { Ok(()) };
        }
        let marker = if self.copied_to.is_some() { Marker::Other } else { Marker::parse(name) };
        match marker {
            Marker::Reserved => return Ok(()),
            Marker::Opaque => {
                self.open_parent(directory)?;
                let directory = open_in(&self.root, directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
                return Ok(rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())?);
            }
            Marker::Whiteout(_) | Marker::Other => {}
        }
        self.open_parent(directory)?;
        let (_, parent) = self.parent.as_ref().expect("it was opened above");
        if let Marker::Whiteout(removed) = marker {
            return match removed {
                b"" | b"." | b".." => Err(io::Error::other("it removes nothing that has a name")),
                _ => whiteout(parent, removed),
            };
        }
        if self.copied_to.is_some() {
            same_kind(parent, name, entry.kind == EntryKind::Directory)?;
        }
        clear(parent, name, entry.kind == EntryKind::Directory)?;
        let mode = Mode::from_raw_mode(entry.mode & 0o7777);
        match &entry.kind {
            EntryKind::File { size } => return file(parent, name, entry, *size, content),
            EntryKind::HardLink { target } => return self.hard_link(parent, name, target),
            EntryKind::Symlink { target } => rustix::fs::symlinkat(target.as_slice(), parent, name)?,
            EntryKind::Directory => match rustix::fs::mkdirat(parent, name, mode) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            },
            EntryKind::Fifo => rustix::fs::mknodat(parent, name, FileType::Fifo, mode, 0)?,
            // Nobody in a user namespace may make devices: `/dev` is the sandbox's own in any case.
            EntryKind::Character { .. } | EntryKind::Block { .. } | EntryKind::Socket => return Ok(()),
        }
        metadata(parent, name, entry)?;
        if entry.kind == EntryKind::Directory {
            self.directories.push((path.clone(), entry.mtime));
            self.implied.remove(&path);
            if self.parent.as_ref().is_some_and(|(known, _)| *known == path) {
                self.parent = None;
            }
        }
        Ok(())
    }

    fn root_metadata(&self, entry: &Entry) -> io::Result<()> {
        let root = open_in(&self.root, b"", OFlags::RDONLY | OFlags::DIRECTORY)?;
        owner(entry).give(|uid, gid| rustix::fs::fchown(&root, uid, gid))?;
        Ok(rustix::fs::fchmod(&root, Mode::from_raw_mode(entry.mode & 0o7777))?)
    }

    fn open_parent(&mut self, path: &[u8]) -> io::Result<()> {
        if self.parent.as_ref().is_some_and(|(known, _)| known == path) {
            return Ok(());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let opened = match open_in(&self.root, path, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                for end in (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]) {
                    let (above, name) = split(&path[..end]);
                    let above = open_in(&self.root, above, flags)?;
                    match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => self.imply(&path[..end])?,
                        Err(rustix::io::Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                open_in(&self.root, path, flags)?
            }
            other => other?,
        };
        self.parent = Some((path.to_vec(), opened));
        Ok(())
    }

    fn imply(&mut self, path: &[u8]) -> io::Result<()> {
        self.implied_bytes += path.len();
        if self.implied_bytes > MAX_IMPLIED {
            return Err(io::Error::other("the layer has files in too many directories that it does not describe"));
        }
        self.implied.insert(path.to_vec());
        Ok(())
    }

    fn hard_link(&self, parent: &OwnedFd, name: &[u8], target: &[u8]) -> io::Result<()> {
        let target = self.path(target);
        let (directory, file) = split(&target);
        let directory = open_in(&self.root, directory, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(rustix::fs::linkat(directory, file, parent, name, AtFlags::empty())?)
    }

    /// Sets the times of directories, which changed while entries were made in them.
    fn finish(self) -> io::Result<BTreeSet<Vec<u8>>> {
        for (path, mtime) in self.directories.iter().rev() {
            let (directory, name) = split(path);
            // A later entry may have replaced it.
            if let Ok(parent) = open_in(&self.root, directory, OFlags::PATH | OFlags::DIRECTORY) {
                let _ = rustix::fs::utimensat(parent, name, &times(*mtime), AtFlags::SYMLINK_NOFOLLOW);
            }
        }
        Ok(self.implied)
    }
}

/// Fails if a directory would replace something else, or be replaced by it.
fn same_kind(parent: &OwnedFd, name: &[u8], directory: bool) -> io::Result<()> {
    let Ok(known) = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
    let is_directory = FileType::from_raw_mode(known.st_mode) == FileType::Directory;
    let shown = String::from_utf8_lossy(name);
    match (is_directory, directory) {
        (true, false) => Err(io::Error::other(format!("cannot overwrite directory {shown:?} with non-directory"))),
        (false, true) => Err(io::Error::other(format!("cannot overwrite non-directory {shown:?} with directory"))),
        _ => Ok(()),
    }
}

/// Makes room for an entry; a directory stays where a directory comes.
fn clear(parent: &OwnedFd, name: &[u8], directory: bool) -> io::Result<()> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(known) if directory && FileType::from_raw_mode(known.st_mode) == FileType::Directory => Ok(()),
        Ok(_) => remove::entry(parent.as_fd(), name),
    }
}

/// Says that `name` is removed from `parent`.
pub(crate) fn whiteout(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    match rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
        // An entry of the same layer wins.
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn file(parent: &OwnedFd, name: &[u8], entry: &Entry, size: u64, content: &mut dyn Read) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))?;
    let mut file = File::from(file);
    let copied = io::copy(&mut content.take(size), &mut file)?;
    if copied != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Owner first: changing it takes away setuid bits and capabilities.
    owner(entry).give(|uid, gid| rustix::fs::fchown(&file, uid, gid))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode & 0o7777))?;
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| name == b"security.capability") {
        rustix::fs::fsetxattr(&file, name.as_slice(), value, XattrFlags::empty())?;
    }
    Ok(rustix::fs::futimens(&file, &times(entry.mtime))?)
}

fn metadata(parent: &OwnedFd, name: &[u8], entry: &Entry) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    owner(entry).give(|uid, gid| rustix::fs::chownat(parent, name, uid, gid, flags))?;
    if !matches!(entry.kind, EntryKind::Symlink { .. }) {
        rustix::fs::chmodat(parent, name, Mode::from_raw_mode(entry.mode & 0o7777), AtFlags::empty())?;
    }
    Ok(rustix::fs::utimensat(parent, name, &times(entry.mtime), flags)?)
}

fn owner(entry: &Entry) -> Owner {
    Owner { uid: entry.uid, gid: entry.gid }
}

fn times(mtime: i64) -> Timestamps {
    let time = Timespec { tv_sec: mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
