//! Makes the index of a layer from its entries, in their order: what a path is in the end is what its last entry says.

use super::index::{Index, IndexEntry, IndexError, WalkPath, is_below};
use super::links::resolve_in;
use crate::path::{clean_path, join, split};
use crate::size::Size;
use crate::tar::{Entry, EntryKind};
use crate::view::Node;
use crate::whiteout::Marker;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Entries that a layer may have, those that others replace and directories that only their files imply among them.
pub const MAX_ENTRIES: usize = 2_000_000;
/// Bytes that the names, targets and attributes of a layer may have together: they are kept in memory.
const MAX_NAMES: u64 = 256 * 1024 * 1024;
/// Longest path that is taken.
const MAX_PATH: usize = 4096;
/// Components of paths that are looked up to follow the links of a layer: long chains of links cost time.
const MAX_STEPS: u64 = 10_000_000;

/// An index in the making.
pub(crate) struct Building {
    entries: BTreeMap<WalkPath, Known>,
    opaque: BTreeSet<Vec<u8>>,
    /// Hard links are counted from 1.
    groups: u64,
    /// Entries that were read.
    read: u64,
    /// Bytes of files that the layer may still announce.
    bytes_left: u64,
    max_bytes: u64,
    names_left: u64,
    /// Components of paths that may still be looked up while links are followed.
    steps_left: Cell<u64>,
    /// Entries of regular files that another path has, or none.
    moved: BTreeSet<u64>,
}

/// The last word on a path so far.
struct Known {
    entry: IndexEntry,
    /// The entry that has the content.
    number: u64,
}

impl Building {
    /// Begins with nothing; files may have `max_bytes` together.
    pub(crate) fn new(max_bytes: u64) -> Self {
        Building {
            entries: BTreeMap::new(),
            opaque: BTreeSet::new(),
            groups: 0,
            read: 0,
            bytes_left: max_bytes,
            max_bytes,
            names_left: MAX_NAMES,
            steps_left: Cell::new(MAX_STEPS),
            moved: BTreeSet::new(),
        }
    }

    /// Refuses an entry that leads too far, before its content is read.
    pub(crate) fn check(&mut self, entry: &Entry) -> Result<(), IndexError> {
        let known = self.entries.len() + self.opaque.len();
        if self.read >= MAX_ENTRIES as u64 || known >= MAX_ENTRIES {
            return Err(refused(entry, format!("the layer has more than {MAX_ENTRIES} entries")));
        }
        if entry.path.len() > MAX_PATH {
            return Err(refused(entry, format!("its name is longer than {MAX_PATH} bytes")));
        }
        if entry.path.split(|&byte| byte == b'/').any(|part| part == b"..") {
            return Err(refused(entry, "its name leads out of the layer".to_owned()));
        }
        let left = self.bytes_left.checked_sub(entry.size());
        self.bytes_left =
            left.ok_or_else(|| refused(entry, format!("the layer has more than {}", Size(self.max_bytes))))?;
        let target = match &entry.kind {
            EntryKind::Symlink { target } | EntryKind::HardLink { target } => target.len(),
            _ => 0,
        };
        let attributes = entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        self.take_names(entry, entry.path.len() + target + attributes)
    }

    fn take_names(&mut self, entry: &Entry, bytes: usize) -> Result<(), IndexError> {
        let left = self.names_left.checked_sub(bytes as u64);
        self.names_left =
            left.ok_or_else(|| refused(entry, format!("the layer's names have more than {}", Size(MAX_NAMES))))?;
        Ok(())
    }

    /// Adds an entry with the hash of its content.
    pub(crate) fn add(&mut self, entry: Entry, content: Option<[u8; 32]>) -> Result<(), IndexError> {
        let number = self.read;
        self.read += 1;
        let path = clean_path(&entry.path);
        let (directory, base) = split(&path);
        let marker = Marker::parse(base);
        if marker == Marker::Reserved {
            return Ok(());
        }
        let directory = self.directory(directory, &entry)?;
        match marker {
            Marker::Opaque => {
                self.opaque.insert(directory);
                return Ok(());
            }
            Marker::Whiteout(removed) => {
                if !removed.is_empty() {
                    let path = WalkPath(join(&directory, removed));
                    // An entry of the same layer wins over a whiteout of the same name, wherever it stands.
                    self.entries.entry(path).or_insert(Known { entry: IndexEntry::Whiteout, number });
                }
                return Ok(());
            }
            Marker::Reserved | Marker::Other => {}
        }
        let written = path.as_slice();
        let path = join(&directory, base);
        if path != written && matches!(entry.kind, EntryKind::File { .. }) {
            self.moved.insert(number);
        }
        if path.is_empty() && entry.kind != EntryKind::Directory {
            return Ok(());
        }
        let known = match &entry.kind {
            EntryKind::HardLink { target } => self.link(&path, target).map_err(|problem| refused(&entry, problem))?,
            _ => Known { entry: IndexEntry::Node { node: node(entry), content }, number },
        };
        if !matches!(&known.entry, IndexEntry::Node { node, .. } if node.kind == EntryKind::Directory) {
            self.remove_below(&path);
        }
        self.put(path, known);
        Ok(())
    }

    /// Returns where the directory `path` is, links of the layer followed; directories that nothing describes are implied.
    fn directory(&mut self, path: &[u8], entry: &Entry) -> Result<Vec<u8>, IndexError> {
        // A directory that is known under this name is reached without any link.
        if path.is_empty() || self.kind(path).is_some_and(|kind| *kind == EntryKind::Directory) {
            return Ok(path.to_vec());
        }
        let path = self.follow(path).map_err(|problem| refused(entry, problem))?;
        let ends = (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]);
        for end in ends.filter(|&end| end > 0) {
            match self.kind(&path[..end]) {
                Some(EntryKind::Directory) => {}
                Some(_) => return Err(refused(entry, "a file is in the place of its directory".to_owned())),
                None => {
                    self.take_names(entry, end)?;
                    self.put(path[..end].to_vec(), Known { entry: IndexEntry::Implied, number: self.read });
                }
            }
        }
        Ok(path)
    }

    /// Follows the links of the layer that `path` leads through.
    fn follow(&self, path: &[u8]) -> Result<Vec<u8>, String> {
        let followed = resolve_in(path, |path| {
            self.steps_left.set(self.steps_left.get().saturating_sub(1));
            // Without steps left nothing is found, which ends the walk along the links.
            let known = (self.steps_left.get() > 0).then(|| self.entries.get(&WalkPath(path.to_vec()))).flatten();
            match &known?.entry {
                IndexEntry::Node { node, .. } => Some(node.clone()),
                IndexEntry::Implied | IndexEntry::Whiteout => None,
            }
        });
        match followed {
            Ok(_) if self.steps_left.get() == 0 => Err("the links of the layer lead too far".to_owned()),
            other => other.map_err(|error| error.to_string()),
        }
    }

    /// Returns what the layer has at `path` so far.
    fn kind(&self, path: &[u8]) -> Option<&EntryKind> {
        match &self.entries.get(&WalkPath(path.to_vec()))?.entry {
            IndexEntry::Node { node, .. } => Some(&node.kind),
            IndexEntry::Implied => Some(&EntryKind::Directory),
            IndexEntry::Whiteout => None,
        }
    }

    /// Returns another name of the file `target`, both marked as one file.
    fn link(&mut self, path: &[u8], target: &[u8]) -> Result<Known, String> {
        let clean = clean_path(target);
        let (directory, name) = split(&clean);
        let target = join(&self.follow(directory)?, name);
        if target == path {
            return Err("it is a hard link to itself".to_owned());
        }
        let groups = self.groups + 1;
        let Some(Known { entry: IndexEntry::Node { node, content }, number }) = self.entries.get_mut(&WalkPath(target))
        else {
            return Err("it is a hard link to a file that is not in the layer".to_owned());
        };
        if node.kind == EntryKind::Directory {
            return Err("it is a hard link to a directory".to_owned());
        }
        if node.hard_link.is_none() {
            node.hard_link = Some(groups);
            self.groups = groups;
        }
        Ok(Known { entry: IndexEntry::Node { node: node.clone(), content: *content }, number: *number })
    }

    /// Takes the last word on a path.
    fn put(&mut self, path: Vec<u8>, known: Known) {
        if let Some(before) = self.entries.insert(WalkPath(path), known) {
            self.forget(&before);
        }
    }

    /// Forgets what earlier entries put below a path that turns out not to be a directory.
    fn remove_below(&mut self, path: &[u8]) {
        if self.kind(path) != Some(&EntryKind::Directory) {
            return;
        }
        let after = (Bound::Excluded(WalkPath(path.to_vec())), Bound::Unbounded);
        let below = self.entries.range(after).map(|(known, _)| known).take_while(|known| is_below(&known.0, path));
        for known in below.cloned().collect::<Vec<_>>() {
            if let Some(before) = self.entries.remove(&known) {
                self.forget(&before);
            }
        }
        self.opaque.remove(path);
        let inside = [path, b"/"].concat();
        let below = self.opaque.range(inside.clone()..).take_while(|opaque| opaque.starts_with(&inside));
        for opaque in below.cloned().collect::<Vec<_>>() {
            self.opaque.remove(&opaque);
        }
    }

    /// Notes that a path no longer has the content of an entry; another name of the file may have it.
    fn forget(&mut self, before: &Known) {
        if matches!(&before.entry, IndexEntry::Node { node, .. } if matches!(node.kind, EntryKind::File { .. })) {
            self.moved.insert(before.number);
        }
    }

    /// Returns the index.
    pub(crate) fn finish(self) -> Index {
        let mut moved: BTreeMap<u64, Option<Vec<u8>>> = self.moved.into_iter().map(|number| (number, None)).collect();
        if !moved.is_empty() {
            for (path, known) in &self.entries {
                if matches!(known.entry, IndexEntry::Node { content: Some(_), .. })
                    && let Some(other) = moved.get_mut(&known.number)
                {
                    other.get_or_insert_with(|| path.0.clone());
                }
            }
        }
        let entries = self.entries.into_iter().map(|(path, known)| (path.0, known.entry)).collect();
        Index { entries, opaque: self.opaque.into_iter().collect(), moved }
    }
}

/// Returns an entry that is not a hard link as a node.
fn node(entry: Entry) -> Node {
    let Entry { kind, mode, uid, gid, mtime, mut xattrs, .. } = entry;
    xattrs.retain(|(name, _)| name == b"security.capability");
    xattrs.sort();
    Node { kind, mode, uid, gid, mtime, xattrs, hard_link: None }
}

fn refused(entry: &Entry, problem: String) -> IndexError {
    IndexError::Refused { name: String::from_utf8_lossy(&entry.path).chars().take(MAX_PATH).collect(), problem }
}
