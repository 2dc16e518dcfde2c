//! The index of a layer: its paths and what is known of them, made while the layer's tar passes by.

use crate::tar::{EntryKind, TarError};
use crate::view::Node;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Version of the stored form; another one is made again from the layer.
const FORMAT: u8 = 2;

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
        problem: String,
    },
    /// The stored form cannot be read.
    #[error("the stored index is damaged or of another version")]
    Stored,
}

/// The state of a path in a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexEntry {
    /// The path names a file.
    Node {
        /// The metadata.
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
    pub(super) entries: Vec<(Vec<u8>, IndexEntry)>,
    /// Directories whose content in the layers below is hidden, sorted.
    pub(super) opaque: Vec<Vec<u8>>,
    /// Entries of regular files, counted from 0, whose content is not at the path that they name, and the path that has it:
    /// a later entry replaced them, or they were written through a link.
    pub(super) moved: BTreeMap<u64, Option<Vec<u8>>>,
}

/// Orders paths as a walk meets them: a directory, then all below it, then its next sibling.
pub(crate) fn walk_order(one: &[u8], other: &[u8]) -> Ordering {
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

    /// Returns the path that has the content of entry `number`, which names the regular file `path`: another one, or none,
    /// if a later entry of the layer replaced it.
    pub fn path_of_content<'p>(&'p self, number: u64, path: &'p [u8]) -> Option<&'p [u8]> {
        match self.moved.get(&number) {
            None => Some(path),
            Some(other) => other.as_deref(),
        }
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
            Some(IndexEntry::Node { node, .. }) => node.kind != EntryKind::Directory,
            Some(IndexEntry::Implied) | None => false,
        }
    }

    /// Returns all paths, in the order of a walk, and what the layer says of each.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &IndexEntry)> {
        self.entries.iter().map(|(path, entry)| (path.as_slice(), entry))
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

/// Tells whether `path` is in `directory` or below it.
pub(super) fn is_below(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty() && !path.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}
