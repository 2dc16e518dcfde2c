//! Files of this machine as a tar, for a container.

use files::tar::{Entry, EntryKind, Writer};
use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

struct Walk<W: Write> {
    writer: Writer<W>,
    /// First names of files with several.
    names: HashMap<(u64, u64), Vec<u8>>,
    keeps_owners: bool,
    bytes: u64,
}

/// Writes the file or directory `path` under `name`; `.` is the content of a directory. All belongs to root unless owners
/// are kept. Returns the bytes of its files.
pub fn write_local(path: &Path, name: &str, keeps_owners: bool, out: impl Write) -> io::Result<u64> {
    let mut walk = Walk { writer: Writer::new(out), names: HashMap::new(), keeps_owners, bytes: 0 };
    // A link that was to be followed was followed before.
    let known = fs::symlink_metadata(path)?;
    match name {
        "." => walk.content(path, b"")?,
        name => walk.file(path, name.as_bytes(), &known)?,
    }
    walk.writer.finish()?.flush()?;
    Ok(walk.bytes)
}

impl<W: Write> Walk<W> {
    fn content(&mut self, directory: &Path, name: &[u8]) -> io::Result<()> {
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let own = entry.file_name();
            let name = if name.is_empty() { own.as_bytes().to_vec() } else { [name, b"/", own.as_bytes()].concat() };
            self.file(&path, &name, &fs::symlink_metadata(&path)?)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &[u8], known: &Metadata) -> io::Result<()> {
        let kind = known.file_type();
        let (uid, gid) = if self.keeps_owners { (known.uid(), known.gid()) } else { (0, 0) };
        let entry = |kind: EntryKind| Entry {
            path: name.to_vec(),
            kind,
            mode: known.mode() & 0o7777,
            uid,
            gid,
            mtime: known.mtime(),
            xattrs: Vec::new(),
        };
        if kind.is_dir() {
            self.writer.bare(&entry(EntryKind::Directory))?;
            return self.content(path, name);
        }
        if kind.is_file() && known.nlink() > 1 {
            let identity = (known.dev(), known.ino());
            if let Some(first) = self.names.get(&identity) {
                return self.writer.bare(&entry(EntryKind::HardLink { target: first.clone() }));
            }
            self.names.insert(identity, name.to_vec());
        }
        if kind.is_file() {
            self.bytes += known.len();
            return self.writer.entry(&entry(EntryKind::File { size: known.len() }), &mut File::open(path)?);
        }
        if kind.is_symlink() {
            let target = fs::read_link(path)?.as_os_str().as_bytes().to_vec();
            return self.writer.bare(&entry(EntryKind::Symlink { target }));
        }
        match kind.is_fifo() {
            true => self.writer.bare(&entry(EntryKind::Fifo)),
            // Sockets and devices are of this machine.
            false => Ok(()),
        }
    }
}
