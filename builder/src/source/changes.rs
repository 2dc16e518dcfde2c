//! What changed between two commits: found by the ids of their trees, so that equal directories are never opened.

use super::CommitTree;
use crate::ignore::join;
use crate::view::ViewError;
use git2::{ObjectType, Oid, Repository};
use std::collections::BTreeMap;

/// Changes that are listed; whoever has more knows enough.
pub const MAX_CHANGES: usize = 100_000;

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
    /// Returns what is not the same in `older`, sorted by path; at most one more than [`MAX_CHANGES`].
    pub fn changes_since(&self, older: &CommitTree) -> Result<Vec<Change>, ViewError> {
        let mut comparison = Comparison { repository: &self.objects().repository, changes: Vec::new() };
        comparison.compare((Some(older.root), Some(self.root)), b"").map_err(|error| self.error(b"", error))?;
        comparison.changes.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(comparison.changes)
    }
}

struct Comparison<'r> {
    repository: &'r Repository,
    changes: Vec<Change>,
}

impl Comparison<'_> {
    fn compare(&mut self, (older, newer): (Option<Oid>, Option<Oid>), at: &[u8]) -> Result<(), git2::Error> {
        if older == newer || self.changes.len() > MAX_CHANGES {
            return Ok(());
        }
        let (before, after) = (self.entries(older)?, self.entries(newer)?);
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
            if trees != (None, None) {
                self.compare(trees, &path)?;
            }
            if [old, new].into_iter().flatten().any(|(_, is_tree, _)| !is_tree) {
                self.changes.push(Change { path, is_directory: false });
            }
        }
        Ok(())
    }

    fn entries(&self, id: Option<Oid>) -> Result<BTreeMap<Vec<u8>, Entry>, git2::Error> {
        let Some(id) = id else { return Ok(BTreeMap::new()) };
        let tree = self.repository.find_tree(id)?;
        let entries = tree.iter().map(|entry| {
            let is_tree = entry.kind() == Some(ObjectType::Tree);
            (entry.name_bytes().to_vec(), (entry.id(), is_tree, entry.filemode()))
        });
        Ok(entries.collect())
    }
}
