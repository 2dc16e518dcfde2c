//! A tar as a view: its contents go to one file without a name, its entries stay in memory.
//!
//! Nothing of it is unpacked under a name of its own, so nothing in it can lead anywhere.

use crate::git::SourceError;
use crate::walk::is_too_deep;
use files::path::clean_path;
use files::tar::{self, EntryKind};
use files::tree::resolve_in;
use files::view::{ContentId, Node, View, ViewError};
use sha1::{Digest as _, Sha1};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Entries that a tar may have.
const MAX_ENTRIES: usize = 400_000;
/// Bytes that its files may have together.
const MAX_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// Bytes that its names may have together, those of attributes and of what links lead to, too.
const MAX_NAMES: usize = 256 * 1024 * 1024;
/// Longest path that is taken.
const MAX_PATH: usize = 4096;

/// A tar that was read.
pub struct Tarball {
    name: String,
    contents: Arc<File>,
    directories: HashMap<Vec<u8>, BTreeMap<Vec<u8>, Known>>,
    /// The directory that is seen.
    prefix: Vec<u8>,
}

/// An entry of the tar, or a directory that one implies.
#[derive(Debug, Clone)]
struct Known {
    node: Node,
    /// Where the content is.
    offset: u64,
    /// The id that git gives the content.
    id: [u8; 20],
}

impl Tarball {
    /// Reads the tar `name`, decompressed already; its contents are kept in `directory` as long as it lives.
    pub fn read(name: &str, tar: &mut dyn Read, directory: &Path) -> Result<Self, SourceError> {
        let failed = |problem: String| SourceError::Tarball { name: name.to_owned(), problem };
        std::fs::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
        let file = tempfile::tempfile_in(directory).map_err(|error| failed(error.to_string()))?;
        let mut reading = Reading { file, end: 0, entries: 0, names: 0, groups: 0, directories: HashMap::new() };
        let mut reader = tar::Reader::new(tar);
        while let Some(entry) = reader.next_entry().map_err(|error| failed(error.to_string()))? {
            reading.add(entry, &mut reader).map_err(failed)?;
        }
        let (name, contents) = (name.to_owned(), Arc::new(reading.file));
        Ok(Tarball { name, contents, directories: reading.directories, prefix: Vec::new() })
    }

    /// Narrows the view to the directory `path`; links are followed within the tar.
    pub fn below(mut self, path: &str) -> Result<Self, SourceError> {
        let resolved = resolve_in(&clean_path(path.as_bytes()), |path| self.lookup(path).ok().flatten());
        let found = resolved.ok().filter(|path| path.is_empty() || self.directories.contains_key(path));
        self.prefix = found.ok_or_else(|| SourceError::ContextNotFound(path.to_owned()))?;
        Ok(self)
    }

    /// Forgets `name` in the root, and all that is in it.
    pub(crate) fn leave_out(&mut self, name: &[u8]) {
        if let Some(names) = self.directories.get_mut(&Vec::new()) {
            names.remove(name);
        }
        let inside = |path: &[u8]| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
        self.directories.retain(|path, _| !inside(path));
    }

    /// Returns the time of the file that was changed last.
    pub fn latest_time(&self) -> Option<i64> {
        let known = self.directories.values().flat_map(BTreeMap::values);
        let files = known.filter(|known| matches!(known.node.kind, EntryKind::File { .. }));
        files.map(|known| known.node.mtime).max()
    }

    /// Returns the content of the file `path`.
    pub fn open_file(&self, path: &[u8]) -> Result<Box<dyn Read + Send>, ViewError> {
        let known = self.known(path).ok_or_else(|| self.error(path, "it is not in the tar"))?;
        match known.node.kind {
            EntryKind::File { size } => {
                Ok(Box::new(Section { file: self.contents.clone(), at: known.offset, left: size }))
            }
            _ => Err(self.error(path, "it is not a regular file")),
        }
    }

    fn known(&self, path: &[u8]) -> Option<&Known> {
        let path = files::path::join(&self.prefix, path);
        let (directory, name) = split(&path);
        self.directories.get(directory)?.get(name)
    }

    fn error(&self, path: &[u8], cause: &'static str) -> ViewError {
        let (what, path) = (format!("the tar `{}`", self.name), String::from_utf8_lossy(path).into_owned());
        ViewError { what, path, cause: cause.into() }
    }
}

impl View for Tarball {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        if path.is_empty() && self.prefix.is_empty() {
            return Ok(Some(directory()));
        }
        Ok(self.known(path).map(|known| known.node.clone()))
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        let path = files::path::join(&self.prefix, path);
        let children = self.directories.get(&path).into_iter().flatten();
        Ok(children.map(|(name, known)| (name.clone(), known.node.clone())).collect())
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        let known = self.known(path);
        Ok(ContentId(known.map_or_else(String::new, |known| format!("git:{}", hex::encode(known.id)))))
    }
}

/// A tar while it is read.
struct Reading {
    file: File,
    end: u64,
    /// Entries, and directories that only their files imply.
    entries: usize,
    /// Bytes of all names.
    names: usize,
    groups: u64,
    directories: HashMap<Vec<u8>, BTreeMap<Vec<u8>, Known>>,
}

impl Reading {
    fn add(&mut self, entry: tar::Entry, content: &mut dyn Read) -> Result<(), String> {
        let shown = String::from_utf8_lossy(&entry.path).into_owned();
        self.entries += 1;
        self.names +=
            entry.path.len() + entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if let EntryKind::Symlink { target } | EntryKind::HardLink { target } = &entry.kind {
            self.names += target.len();
        }
        self.check()?;
        if self.end.saturating_add(entry.size()) > MAX_BYTES {
            return Err(format!("its files have more than {MAX_BYTES} bytes together"));
        }
        let leads_out = entry.path.split(|&byte| byte == b'/').any(|part| part == b"..");
        if leads_out || entry.path.len() > MAX_PATH || entry.path.contains(&0) {
            return Err(format!("the name `{shown}` is not one that a file of a context can have"));
        }
        let path = clean_path(&entry.path);
        if path.is_empty() {
            return Ok(());
        }
        if is_too_deep(&path) {
            return Err(format!("`{shown}` is in too many directories"));
        }
        let known = self.known(entry, content).map_err(|problem| format!("`{shown}`: {problem}"))?;
        self.put(&path, known).map_err(|problem| format!("`{shown}` {problem}"))?;
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        if self.entries > MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        if self.names > MAX_NAMES {
            return Err(format!("its names have more than {MAX_NAMES} bytes together"));
        }
        Ok(())
    }

    fn known(&mut self, entry: tar::Entry, content: &mut dyn Read) -> Result<Known, String> {
        let (offset, mut id) = (self.end, [0; 20]);
        match &entry.kind {
            EntryKind::File { size } => {
                id = self.keep(*size, content).map_err(|error| error.to_string())?;
            }
            EntryKind::HardLink { target } => return self.link(&clean_path(target)),
            _ => {}
        }
        let tar::Entry { kind, mode, uid, gid, mtime, mut xattrs, .. } = entry;
        xattrs.sort();
        Ok(Known { node: Node { kind, mode, uid, gid, mtime, xattrs, hard_link: None }, offset, id })
    }

    /// Appends a content to the file and returns its id.
    fn keep(&mut self, size: u64, content: &mut dyn Read) -> io::Result<[u8; 20]> {
        let mut hash = Sha1::new_with_prefix(format!("blob {size}\0"));
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match content.read(&mut buffer)? {
                0 => break,
                got => {
                    hash.update(&buffer[..got]);
                    self.file.write_all(&buffer[..got])?;
                    self.end += got as u64;
                }
            }
        }
        Ok(hash.finalize().into())
    }

    fn link(&mut self, target: &[u8]) -> Result<Known, String> {
        let groups = self.groups + 1;
        let (directory, name) = split(target);
        let known = self.directories.get_mut(directory).and_then(|names| names.get_mut(name));
        let known = known.filter(|known| matches!(known.node.kind, EntryKind::File { .. })).ok_or_else(|| {
            format!("it is a hard link to `{}`, which is not a file before it", String::from_utf8_lossy(target))
        })?;
        if known.node.hard_link.is_none() {
            known.node.hard_link = Some(groups);
            self.groups = groups;
        }
        Ok(known.clone())
    }

    fn put(&mut self, path: &[u8], known: Known) -> Result<(), &'static str> {
        for end in (0..path.len()).filter(|&at| path[at] == b'/') {
            let (above, name) = split(&path[..end]);
            let names = self.directories.entry(above.to_vec()).or_default();
            let implied = || Known { node: directory(), offset: 0, id: [0; 20] };
            if names.entry(name.to_vec()).or_insert_with(implied).node.kind != EntryKind::Directory {
                return Err("leads through something that is not a directory");
            }
            if let Entry::Vacant(new) = self.directories.entry(path[..end].to_vec()) {
                new.insert(BTreeMap::new());
                self.entries += 1;
                self.names += end;
            }
        }
        let is_directory = known.node.kind == EntryKind::Directory;
        if is_directory {
            self.directories.entry(path.to_vec()).or_default();
        } else if self.directories.get(path).is_some_and(|names| !names.is_empty()) {
            return Err("would take the place of a directory with files");
        } else {
            self.directories.remove(path);
        }
        let (above, name) = split(path);
        self.directories.entry(above.to_vec()).or_default().insert(name.to_vec(), known);
        Ok(())
    }
}

fn directory() -> Node {
    Node { kind: EntryKind::Directory, mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new(), hard_link: None }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// A part of a file that others read at the same time.
struct Section {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use files::tar::Writer;

    fn read(entries: &[(&str, EntryKind, &str)]) -> Result<Tarball, SourceError> {
        let mut writer = Writer::new(Vec::new());
        for (path, kind, content) in entries {
            let path = path.as_bytes().to_vec();
            let entry =
                tar::Entry { path, kind: kind.clone(), mode: 0o640, uid: 5, gid: 6, mtime: 7, xattrs: Vec::new() };
            writer.entry(&entry, &mut content.as_bytes()).unwrap();
        }
        let tar = writer.finish().unwrap();
        Tarball::read("test", &mut tar.as_slice(), &std::env::temp_dir())
    }

    fn file(content: &str) -> EntryKind {
        EntryKind::File { size: content.len() as u64 }
    }

    #[test]
    fn files_are_seen_with_their_owners_and_read_back() {
        // DF-198
        let link = EntryKind::HardLink { target: b"d/one".to_vec() };
        let tarball = read(&[("d/one", file("1"), "1"), ("d/two", file("22"), "22"), ("l", link, "")]).unwrap();
        let names: Vec<_> = tarball.children(b"d").unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [b"one", b"two"]);
        let node = tarball.lookup(b"d/two").unwrap().unwrap();
        assert_eq!((node.mode, node.uid, node.gid, node.mtime), (0o640, 5, 6, 7));
        let content = |path: &[u8]| io::read_to_string(tarball.open_file(path).unwrap()).unwrap();
        assert_eq!((content(b"d/two"), content(b"l")), ("22".to_owned(), "1".to_owned()));
        let group = |path: &[u8]| tarball.lookup(path).unwrap().unwrap().hard_link;
        assert!(group(b"l").is_some() && group(b"l") == group(b"d/one"));
        // The id is git's, so that a tar and a commit of the same files share the cache.
        assert_eq!(tarball.content(b"d/one").unwrap().0, "git:56a6051ca2b02b04ef92d5150c9ef600403cb1de");
        let below = tarball.below("d").unwrap();
        assert!(below.lookup(b"one").unwrap().is_some() && below.lookup(b"d").unwrap().is_none());
    }

    #[test]
    fn names_that_lead_out_or_through_files_are_refused() {
        // CTX-01, CTX-06
        let link = |target: &str| EntryKind::HardLink { target: target.into() };
        let symlink = EntryKind::Symlink { target: b"/etc".to_vec() };
        for entries in [
            vec![("../x", file("1"), "1")],
            vec![("a/../../x", file("1"), "1")],
            vec![("l", link("/etc/passwd"), "")],
            vec![("f", file("1"), "1"), ("f/x", file("1"), "1")],
            vec![("l", symlink.clone(), ""), ("l/passwd", file("1"), "1")],
            vec![("d/x", file("1"), "1"), ("d", file("1"), "1")],
        ] {
            assert!(read(&entries).is_err(), "{entries:?}");
        }
        // An absolute name starts at the context's root, as everywhere.
        assert!(read(&[("/abs", file("1"), "1")]).unwrap().lookup(b"abs").unwrap().is_some());
    }
}
