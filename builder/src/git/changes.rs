//! Changes between two commits, found by the ids of their trees, so that equal directories are never opened.

use super::commit::CommitTree;
use crate::walk::{WalkError, is_too_deep};
use files::path::join;
use files::view::ViewError;
use git2::{ObjectType, Oid, Repository};
use std::collections::BTreeMap;

/// Maximum number of changes that are listed.
pub const MAX_CHANGES: usize = 100_000;
/// Entries of directories that are compared: directories may differ in nothing that counts, however many they are.
const MAX_COMPARED: usize = 2_000_000;
/// Largest tree object that is compared.
const MAX_TREE: usize = 64 * 1024 * 1024;

/// A path that is not the same in two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path, from the root of the trees that were compared.
    pub path: Vec<u8>,
    /// Whether it is a directory that only one of them has; what is in it is listed as well.
    pub is_directory: bool,
}

/// An entry of a tree object: what counts of it.
type Entry = (Oid, bool, i32);

impl CommitTree {
    /// Returns what is not the same in `older`, sorted by path; fails with [`WalkError`] if it is more than
    /// [`MAX_CHANGES`], or more than anybody compares.
    pub fn changes_since(&self, older: &CommitTree) -> Result<Vec<Change>, ViewError> {
        let objects = self.objects();
        let mut comparison = Comparison { repository: &objects.repository, changes: Vec::new(), left: MAX_COMPARED };
        let compared = comparison.compare(Some(older.root), Some(self.root), b"");
        if compared.map_err(|error| self.error(b"", error))?.is_none() {
            return Err(self.error(b"", WalkError::TooManyListed(MAX_COMPARED)));
        }
        comparison.changes.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(comparison.changes)
    }
}

struct Comparison<'r> {
    repository: &'r Repository,
    changes: Vec<Change>,
    /// Entries that may still be compared.
    left: usize,
}

impl Comparison<'_> {
    /// Compares two trees; `None` if that is not done to the end.
    fn compare(&mut self, older: Option<Oid>, newer: Option<Oid>, at: &[u8]) -> Result<Option<()>, git2::Error> {
        if older == newer {
            return Ok(Some(()));
        }
        let (Some(before), Some(after)) = (self.entries(older)?, self.entries(newer)?) else { return Ok(None) };
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        for name in names {
            let (old, new) = (before.get(name), after.get(name));
            if old == new {
                continue;
            }
            let path = join(at, name);
            let tree = |entry: Option<&Entry>| entry.filter(|(_, is_tree, _)| *is_tree).map(|(id, ..)| *id);
            let trees = (tree(old), tree(new));
            if trees.0.is_some() != trees.1.is_some() {
                self.changes.push(Change { path: path.clone(), is_directory: true });
            }
            if trees != (None, None) && (is_too_deep(&path) || self.compare(trees.0, trees.1, &path)?.is_none()) {
                return Ok(None);
            }
            if [old, new].into_iter().flatten().any(|(_, is_tree, _)| !is_tree) {
                self.changes.push(Change { path, is_directory: false });
            }
            if self.changes.len() > MAX_CHANGES {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// Returns the entries of a tree; `None` if they are more than may still be compared.
    fn entries(&mut self, id: Option<Oid>) -> Result<Option<BTreeMap<Vec<u8>, Entry>>, git2::Error> {
        let Some(id) = id else { return Ok(Some(BTreeMap::new())) };
        if self.repository.odb()?.read_header(id)?.0 > MAX_TREE {
            return Ok(None);
        }
        let tree = self.repository.find_tree(id)?;
        let Some(left) = self.left.checked_sub(tree.len()) else { return Ok(None) };
        self.left = left;
        let entries = tree.iter().map(|entry| {
            let is_tree = entry.kind() == Some(ObjectType::Tree);
            (entry.name_bytes().to_vec(), (entry.id(), is_tree, entry.filemode()))
        });
        Ok(Some(entries.collect()))
    }
}
