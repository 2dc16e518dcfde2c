//! The index of a layer: its paths and what is known of them, made while the layer's tar passes by.

use crate::view::{Kind, Node};
use runtime::tar::{self, Entry, EntryKind, TarError};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Bound::{Excluded, Unbounded};

/// Entries that a layer may have, directories that only their files imply among them.
pub const MAX_ENTRIES: usize = 2_000_000;
/// Bytes that the names of a layer may have together, those of attributes and of what links lead to, too.
const MAX_NAMES: usize = 256 * MAX_ENTRIES;
/// Longest path that is taken.
const MAX_PATH: usize = 4096;
/// Version of the stored form; another one is made anew.
const FORMAT: u8 = 1;

/// The tar of a layer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It cannot be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// An entry is refused.
    #[error("entry `{name}` of the layer: {problem}")]
    Refused {
        /// Its name.
        name: String,
        /// Why.
        problem: &'static str,
    },
    /// The stored form cannot be read.
    #[error("the stored index is damaged or of another version")]
    Stored,
}

/// What a layer says of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexEntry {
    /// The path is this.
    Node {
        /// What it is.
        node: Node,
        /// BLAKE3 of the content of a regular file.
        content: Option<[u8; 32]>,
    },
    /// The path of the layers below is gone.
    Whiteout,
    /// The path is a directory, because something is below it; its metadata are those of the layers below.
    Implied,
}

/// The paths of a layer, in the order of a walk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    entries: Vec<(Vec<u8>, IndexEntry)>,
    /// Directories whose content in the layers below is hidden.
    opaque: Vec<Vec<u8>>,
}

/// Orders paths as a walk meets them: a directory, then all below it, then its next sibling.
pub fn walk_order(one: &[u8], other: &[u8]) -> Ordering {
    one.split(|&byte| byte == b'/').cmp(other.split(|&byte| byte == b'/'))
}

/// A path whose order is that of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkPath(pub Vec<u8>);

impl PartialOrd for WalkPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WalkPath {
    fn cmp(&self, other: &Self) -> Ordering {
        walk_order(&self.0, &other.0)
    }
}

impl Index {
    /// Reads a layer's tar, contents included; what follows the tar's end is left unread.
    pub fn from_tar(input: &mut dyn Read) -> Result<Self, IndexError> {
        let mut reader = tar::Reader::new(input);
        let mut building = Building::default();
        while let Some(entry) = reader.next_entry()? {
            let content = match entry.kind {
                EntryKind::File { .. } => Some(hash(&mut reader)?),
                _ => None,
            };
            building.add(entry, content)?;
        }
        Ok(building.finish())
    }

    /// Returns how many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len() + self.opaque.len()
    }

    /// Tells whether the layer says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.opaque.is_empty()
    }

    /// Returns the stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend(postcard::to_allocvec(self).expect("an index holds nothing that cannot be stored"));
        bytes
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => {
                let mut index: Index = postcard::from_bytes(rest).map_err(|_| IndexError::Stored)?;
                // Those of earlier versions are in the order of their layer.
                index.opaque.sort();
                Ok(index)
            }
            _ => Err(IndexError::Stored),
        }
    }

    /// Returns what the layer says of `path` itself.
    pub fn get(&self, path: &[u8]) -> Option<&IndexEntry> {
        let at = self.entries.binary_search_by(|(known, _)| walk_order(known, path)).ok()?;
        Some(&self.entries[at].1)
    }

    /// Tells whether the layer hides what the layers below say of `path`, by what it says of a parent.
    pub fn hides(&self, path: &[u8]) -> bool {
        let parents = (0..path.len()).filter(|&at| path[at] == b'/').map(|at| &path[..at]);
        std::iter::once(&path[..0]).chain(parents).any(|parent| self.hides_below(parent))
    }

    /// Tells whether the layer hides what the layers below have in the directory `path`.
    pub fn hides_below(&self, path: &[u8]) -> bool {
        if self.opaque.binary_search_by(|opaque| opaque.as_slice().cmp(path)).is_ok() {
            return true;
        }
        match self.get(path) {
            Some(IndexEntry::Whiteout) => true,
            Some(IndexEntry::Node { node, .. }) => node.kind != Kind::Directory,
            Some(IndexEntry::Implied) | None => false,
        }
    }

    /// Returns what the layer says of the names in the directory `path`.
    pub fn children<'i>(&'i self, path: &[u8]) -> impl Iterator<Item = (&'i [u8], &'i IndexEntry)> + use<'i> {
        let skip = if path.is_empty() { 0 } else { path.len() + 1 };
        let path = path.to_vec();
        let mut at = self.entries.partition_point(|(known, _)| walk_order(known, &path) != Ordering::Greater);
        std::iter::from_fn(move || {
            let (known, entry) = self.entries.get(at)?;
            if !is_below(known, &path) {
                return None;
            }
            let name = known[skip..].split(|&byte| byte == b'/').next()?;
            let sibling = &known[..skip + name.len()];
            at += self.entries[at..].partition_point(|(other, _)| other == sibling || is_below(other, sibling));
            Some((name, entry))
        })
    }
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty() && !path.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn hash(content: &mut dyn Read) -> Result<[u8; 32], TarError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(content)?;
    Ok(*hasher.finalize().as_bytes())
}

#[derive(Default)]
struct Building {
    entries: BTreeMap<WalkPath, IndexEntry>,
    opaque: Vec<Vec<u8>>,
    groups: u64,
    /// Bytes of all names.
    names: usize,
}

impl Building {
    fn add(&mut self, entry: Entry, content: Option<[u8; 32]>) -> Result<(), IndexError> {
        let name = entry.path.clone();
        let refused = |problem| IndexError::Refused { name: String::from_utf8_lossy(&name).into_owned(), problem };
        self.names +=
            entry.path.len() + entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if let EntryKind::Symlink { target } | EntryKind::HardLink { target } = &entry.kind {
            self.names += target.len();
        }
        if self.entries.len() + self.opaque.len() >= MAX_ENTRIES {
            return Err(refused("the layer has more than 2,000,000 entries"));
        }
        if self.names > MAX_NAMES {
            return Err(refused("the names of the layer have more than 512,000,000 bytes together"));
        }
        if entry.path.len() > MAX_PATH {
            return Err(refused("its name is longer than 4096 bytes"));
        }
        if entry.path.split(|&byte| byte == b'/').any(|part| part == b"..") {
            return Err(refused("its name leads out of the layer"));
        }
        let path = tar::clean_path(&entry.path);
        let (directory, base) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (path[..slash].to_vec(), &path[slash + 1..]),
            None => (Vec::new(), &path[..]),
        };
        if base == b".wh..wh..opq" {
            self.imply(&directory);
            self.opaque.push(directory);
            return Ok(());
        }
        // Other marks of that kind (`.wh..wh.plnk`, `.wh..wh.aufs`) are another file system's own business.
        if base.starts_with(b".wh..wh.") {
            return Ok(());
        }
        if let Some(removed) = base.strip_prefix(b".wh.") {
            self.imply(&directory);
            if !removed.is_empty() {
                let path = WalkPath(crate::ignore::join(&directory, removed));
                // An entry of the same layer wins over a whiteout of the same name, wherever it stands.
                self.entries.entry(path).or_insert(IndexEntry::Whiteout);
            }
            return Ok(());
        }
        self.imply(&directory);
        let entry =
            self.node(entry, content).ok_or_else(|| refused("it is a hard link to a file that is not in the layer"))?;
        if !matches!(&entry, IndexEntry::Node { node, .. } if node.kind == Kind::Directory) {
            self.remove_below(&path);
        }
        self.entries.insert(WalkPath(path), entry);
        Ok(())
    }

    fn node(&mut self, entry: Entry, content: Option<[u8; 32]>) -> Option<IndexEntry> {
        let kind = match entry.kind {
            EntryKind::File { size } => Kind::File { size },
            EntryKind::Directory => Kind::Directory,
            EntryKind::Symlink { target } => Kind::Symlink { target },
            EntryKind::Character { major, minor } => Kind::Character { major, minor },
            EntryKind::Block { major, minor } => Kind::Block { major, minor },
            EntryKind::Fifo => Kind::Fifo,
            EntryKind::HardLink { target } => return self.link(&tar::clean_path(&target)),
        };
        let mut xattrs: Vec<_> = entry.xattrs.into_iter().filter(|(name, _)| name == b"security.capability").collect();
        xattrs.sort();
        let (mode, uid, gid, mtime) = (entry.mode, entry.uid, entry.gid, entry.mtime);
        Some(IndexEntry::Node { node: Node { kind, mode, uid, gid, mtime, xattrs, hard_link: None }, content })
    }

    /// Returns another name of the file `target`, both marked as one file.
    fn link(&mut self, target: &[u8]) -> Option<IndexEntry> {
        let groups = self.groups + 1;
        let entry = self.entries.get_mut(&WalkPath(target.to_vec()))?;
        let IndexEntry::Node { node, .. } = entry else { return None };
        if node.hard_link.is_none() {
            node.hard_link = Some(groups);
            self.groups = groups;
        }
        Some(entry.clone())
    }

    fn imply(&mut self, directory: &[u8]) {
        let mut directory = directory;
        while !directory.is_empty() {
            if let Some(IndexEntry::Node { .. } | IndexEntry::Implied) = self.entries.get(&WalkPath(directory.to_vec()))
            {
                return;
            }
            self.names += directory.len();
            self.entries.insert(WalkPath(directory.to_vec()), IndexEntry::Implied);
            directory = &directory[..directory.iter().rposition(|&byte| byte == b'/').unwrap_or(0)];
        }
    }

    /// Forgets what an earlier entry put below a path that turns out to be no directory.
    fn remove_below(&mut self, path: &[u8]) {
        let is_directory = |entry: &IndexEntry| match entry {
            IndexEntry::Node { node, .. } => node.kind == Kind::Directory,
            IndexEntry::Implied => true,
            IndexEntry::Whiteout => false,
        };
        if self.entries.get(&WalkPath(path.to_vec())).is_some_and(is_directory) {
            // In the order of a walk, what is below a directory follows it.
            let below = self.entries.range((Excluded(WalkPath(path.to_vec())), Unbounded)).map(|(known, _)| known);
            let below: Vec<_> = below.take_while(|known| is_below(&known.0, path)).cloned().collect();
            below.iter().for_each(|known| drop(self.entries.remove(known)));
        }
    }

    fn finish(self) -> Index {
        let entries = self.entries.into_iter().map(|(path, entry)| (path.0, entry)).collect();
        let mut opaque = self.opaque;
        opaque.sort();
        Index { entries, opaque }
    }
}
