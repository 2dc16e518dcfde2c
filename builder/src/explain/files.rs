//! Which of the files that a step takes from a context differ between two commits.
//!
//! What differs at all is told by the ids of trees, so that equal directories are never opened; then the step selects
//! from both commits as it would in a build, but sees of each directory only what leads to a difference.

use crate::context::{Context, NamedContext};
use crate::copy::{self, CopyRequest, Selection};
use crate::ignore::{Filtered, join};
use crate::pattern;
use crate::source::MAX_CHANGES;
use crate::view::{ContentId, Kind, Node, View, ViewError};
use database::{ChangedPath, PathChange, Why};
use std::collections::{BTreeMap, BTreeSet};

/// Paths that are named; of the others only the number is told.
const NAMED: usize = 50;

/// For each directory that leads to a difference, the names in it that do.
type Ways = BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>;

/// The contexts of two builds.
pub struct Files<'c> {
    new: &'c NamedContext,
    old: &'c NamedContext,
    /// `None` where everything has to be looked at.
    ways: Option<Ways>,
}

/// What counts of a file.
#[derive(PartialEq, Eq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    id: String,
}

impl<'c> Files<'c> {
    /// Finds what differs between two contexts.
    pub fn new(new: &'c NamedContext, old: &'c NamedContext) -> Self {
        // Another ignore file shows and hides what did not change.
        let same = format!("{:?}", new.ignore) == format!("{:?}", old.ignore);
        let ways = match (&new.context, &old.context) {
            (Context::Commit(newer), Context::Commit(older)) if same => newer.changes_since(older).ok(),
            _ => None,
        };
        let ways = ways.filter(|changes| changes.len() <= MAX_CHANGES);
        let ways = ways.map(|changes| ways_to(changes.iter().map(|change| change.path.as_slice())));
        Files { new, old, ways }
    }

    /// Returns what differs of what `sources`, paths or patterns, take; `None` if it is the same.
    pub fn changed<'s>(&self, sources: impl IntoIterator<Item = &'s str>, request: &CopyRequest) -> Option<Why> {
        let mut paths = BTreeMap::new();
        for source in sources {
            let (old, new) = (self.selected(self.old, source, request), self.selected(self.new, source, request));
            let (old_files, new_files) = (self.files(self.old, &old), self.files(self.new, &new));
            for path in old_files.keys().chain(new_files.keys()) {
                if let Some(changed) = difference(path, old_files.get(path), new_files.get(path)) {
                    paths.insert(path.clone(), changed);
                }
            }
            let moved = |one: &[Selection]| one.first().map(|found| found.path.clone());
            if !pattern::has_wildcard(source) && moved(&old) != moved(&new) && !old.is_empty() && !new.is_empty() {
                // A link on the way leads elsewhere: it is named, what it led to did not change.
                let path = source.trim_start_matches('/').to_owned();
                paths.clear();
                let changed = ChangedPath { path: path.clone(), change: PathChange::Changed, old: None, new: None };
                paths.insert(path.into_bytes(), changed);
            }
        }
        if paths.is_empty() {
            return None;
        }
        let more = paths.len().saturating_sub(NAMED);
        Some(Why::FilesChanged { paths: paths.into_values().take(NAMED).collect(), more })
    }

    /// Selects as a build does; what cannot be selected fails a build, so that there is nothing to compare.
    fn selected(&self, named: &NamedContext, source: &str, request: &CopyRequest) -> Vec<Selection> {
        let narrowed = Narrowed { view: &named.context, ways: self.ways.as_ref() };
        let view = Filtered::new(&narrowed, &named.ignore);
        copy::select(&view, source, request).unwrap_or_default()
    }

    fn files(&self, named: &NamedContext, selections: &[Selection]) -> BTreeMap<Vec<u8>, Entry> {
        let mut files = BTreeMap::new();
        for selection in selections.iter().filter(|selection| !selection.excluded) {
            let items = selection.items.iter().map(|item| (join(&selection.path, &item.path), &item.node));
            for (path, node) in items.chain([(selection.path.clone(), &selection.node)]) {
                let kind = match node.kind {
                    Kind::Directory => continue,
                    Kind::Symlink { .. } => "link",
                    _ => "file",
                };
                let id = named.context.content(&path).map(|id| id.0).unwrap_or_default();
                files.insert(path, Entry { kind, mode: node.mode, id });
            }
        }
        files
    }
}

/// Returns the directories that lead to `paths`, with the names in them that do.
fn ways_to<'p>(paths: impl Iterator<Item = &'p [u8]>) -> Ways {
    let mut ways = Ways::new();
    for path in paths {
        let mut rest = path;
        loop {
            let (directory, name) = match rest.iter().rposition(|&byte| byte == b'/') {
                Some(slash) => (&rest[..slash], &rest[slash + 1..]),
                None => (&b""[..], rest),
            };
            if !ways.entry(directory.to_vec()).or_default().insert(name.to_vec()) || directory.is_empty() {
                break;
            }
            rest = directory;
        }
    }
    ways
}

fn difference(path: &[u8], old: Option<&Entry>, new: Option<&Entry>) -> Option<ChangedPath> {
    let change = match (old, new) {
        (Some(old), Some(new)) if old == new => return None,
        (Some(old), Some(new)) if old.kind == new.kind && old.id == new.id => PathChange::Mode,
        (Some(_), Some(_)) => PathChange::Changed,
        (None, _) => PathChange::Added,
        (_, None) => PathChange::Removed,
    };
    let id = |entry: Option<&Entry>| entry.map(|entry| entry.id.trim_start_matches("git:").to_owned());
    Some(ChangedPath { path: String::from_utf8_lossy(path).into_owned(), change, old: id(old), new: id(new) })
}

/// A view whose directories list only what leads to a difference; what is asked for by name is there.
struct Narrowed<'v> {
    view: &'v dyn View,
    ways: Option<&'v Ways>,
}

impl View for Narrowed<'_> {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        self.view.lookup(path)
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        let Some(ways) = self.ways else { return self.view.children(path) };
        let mut children = Vec::new();
        for name in ways.get(path).into_iter().flatten() {
            if let Some(node) = self.view.lookup(&join(path, name))? {
                children.push((name.clone(), node));
            }
        }
        Ok(children)
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        self.view.content(path)
    }
}
