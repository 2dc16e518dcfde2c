//! Which of the files that a step takes from a context differ between two commits.
//!
//! The ids of trees tell what differs at all, so that equal directories are never opened; then the step selects
//! from both commits as it would in a build, but sees of each directory only what leads to a difference.

use crate::context::{Context, NamedContext};
use crate::copy::{self, CopyRequest, CopySource};
use crate::walk::{Walk, Walked};
use database::{ChangedPath, PathChange, Why};
use files::ignore::Filtered;
use files::path::join;
use files::pattern;
use files::view::{ContentId, EntryKind, Node, View, ViewError};
use runtime::CancellationToken;
use std::collections::{BTreeMap, BTreeSet};

/// Paths that are named; of the others only the number is told.
const MAX_LISTED: usize = 50;

/// For each directory that leads to a difference, the names in it that do.
type Ways = BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>;

/// The contexts of two builds.
pub(crate) struct Files<'c> {
    new: &'c NamedContext,
    old: &'c NamedContext,
    /// `None` where everything has to be looked at.
    ways: Option<Ways>,
    walking: Walking,
}

/// How far each of the contexts is walked through.
pub(crate) struct Walking {
    /// Paths that one source may take.
    pub max_paths: usize,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// The part of a file that a comparison looks at.
#[derive(PartialEq, Eq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    id: String,
}

impl<'c> Files<'c> {
    /// Finds what differs between two contexts.
    pub(crate) fn new(new: &'c NamedContext, old: &'c NamedContext, walking: Walking) -> Self {
        // Another ignore file shows and hides what did not change.
        let same = new.ignore == old.ignore;
        let ways = match (&new.context, &old.context) {
            (Context::Commit(newer), Context::Commit(older)) if same => newer.changes_since(older).ok(),
            _ => None,
        };
        let ways = ways.map(|changes| ways_to(changes.iter().map(|change| change.path.as_slice())));
        Files { new, old, ways, walking }
    }

    /// Returns what differs of what `sources`, paths or patterns, take; `None` if it is the same.
    pub(crate) fn changed<'s>(&self, sources: impl IntoIterator<Item = &'s str>, request: &CopyRequest) -> Option<Why> {
        let mut paths = BTreeMap::new();
        for source in sources {
            let mut own = BTreeMap::new();
            let (old, new) = (self.selected(self.old, source, request), self.selected(self.new, source, request));
            let (old_files, new_files) = (self.files(self.old, &old), self.files(self.new, &new));
            for path in old_files.keys().chain(new_files.keys()) {
                if let Some(changed) = difference(path, old_files.get(path), new_files.get(path)) {
                    own.insert(path.clone(), changed);
                }
            }
            let moved = |one: &[CopySource]| one.first().map(|found| found.path.clone());
            if !pattern::has_wildcard(source) && moved(&old) != moved(&new) && !old.is_empty() && !new.is_empty() {
                // A link on the way leads elsewhere: it is named, what it led to did not change.
                let path = source.trim_start_matches('/').to_owned();
                own.clear();
                let changed = ChangedPath { path: path.clone(), change: PathChange::Changed, old: None, new: None };
                own.insert(path.into_bytes(), changed);
            }
            paths.extend(own);
        }
        if paths.is_empty() {
            return None;
        }
        let more = paths.len().saturating_sub(MAX_LISTED);
        let commit = match (&self.new.context, &self.old.context) {
            (Context::Commit(newer), Context::Commit(older)) => newer.change_since(older),
            (Context::Checkout(newer), Context::Checkout(older)) => newer.change_since(older),
            _ => None,
        };
        Some(Why::FilesChanged { paths: paths.into_values().take(MAX_LISTED).collect(), more, commit })
    }

    /// Selects as a build does; what cannot be selected fails a build, so that there is nothing to compare.
    fn selected(&self, named: &NamedContext, source: &str, request: &CopyRequest) -> Vec<CopySource> {
        let walk = Walk::new(self.walking.max_paths, &self.walking.cancel);
        let walked = Walked::new(&named.context, &walk);
        let narrowed = Narrowed { view: &walked, ways: self.ways.as_ref() };
        let view = Filtered::new(&narrowed, &named.ignore);
        copy::select(&view, source, request).unwrap_or_default()
    }

    fn files(&self, named: &NamedContext, selections: &[CopySource]) -> BTreeMap<Vec<u8>, Entry> {
        let mut files = BTreeMap::new();
        for selection in selections.iter().filter(|selection| !selection.excluded) {
            let items = selection.items.iter().map(|item| (join(&selection.path, &item.path), &item.node));
            for (path, node) in items.chain([(selection.path.clone(), &selection.node)]) {
                let kind = match node.kind {
                    EntryKind::Directory => continue,
                    EntryKind::Symlink { .. } => "link",
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

    fn check(&self) -> Result<(), ViewError> {
        self.view.check()
    }

    fn take(&self, path: &[u8], node: &Node) -> Result<(), ViewError> {
        self.view.take(path, node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::committed::{FILE, LINK, PROGRAM, context};
    use crate::walk::MAX_PATHS;
    use std::time::{Duration, Instant};

    fn walking() -> Walking {
        Walking { max_paths: MAX_PATHS, cancel: CancellationToken::new() }
    }

    type Listed<'f> = &'f [(&'f str, &'f str, u32)];

    /// Returns what `source` takes differently from the second commit, excluding what `excludes` says.
    fn told(old: Listed<'_>, new: Listed<'_>, source: &str, excludes: &[&str]) -> Vec<(String, PathChange)> {
        let directory = tempfile::tempdir().unwrap();
        let ignored = ["**/*.log"];
        let (old, new) = (context(directory.path(), old, &ignored), context(directory.path(), new, &ignored));
        listed(&Files::new(&new, &old, walking()), source, excludes)
    }

    fn listed(files: &Files<'_>, source: &str, excludes: &[&str]) -> Vec<(String, PathChange)> {
        let excludes = excludes.iter().map(ToString::to_string).collect();
        let request = CopyRequest { excludes, ..crate::execute::mount_request(0) };
        match files.changed([source], &request) {
            Some(Why::FilesChanged { paths, .. }) => paths.into_iter().map(|path| (path.path, path.change)).collect(),
            _ => Vec::new(),
        }
    }

    const OLD: Listed<'static> = &[
        ("a.txt", "1", FILE),
        ("d/changed", "1", FILE),
        ("d/gone", "1", FILE),
        ("d/run", "1", FILE),
        ("d/same", "1", FILE),
        ("d/x.log", "1", FILE),
        ("link", "d", LINK),
        ("other/f", "1", FILE),
    ];
    const NEW: Listed<'static> = &[
        ("a.txt", "2", FILE),
        ("d/changed", "2", FILE),
        ("d/deep/new", "1", FILE),
        ("d/run", "1", PROGRAM),
        ("d/same", "1", FILE),
        ("d/x.log", "2", FILE),
        ("link", "other", LINK),
        ("other/f", "2", FILE),
    ];

    #[test]
    fn only_what_a_step_takes_is_named_and_how_it_changed() {
        let named = |source, excludes: &[&str]| {
            let found = told(OLD, NEW, source, excludes);
            found.into_iter().map(|(path, change)| format!("{path} {change:?}")).collect::<Vec<_>>()
        };
        let all = ["d/changed Changed", "d/deep/new Added", "d/gone Removed", "d/run Mode"];
        assert_eq!(named("d", &[]), all, "what is ignored is not taken");
        assert_eq!(named("d", &["deep", "run"]), [all[0], all[2]]);
        assert_eq!(named("*.txt", &[]), ["a.txt Changed"]);
        assert_eq!(named("d/c*", &[]), ["d/changed Changed"]);
        assert_eq!(named("d/same", &[]), [""; 0]);
        assert_eq!(named("link", &[]), ["link Changed"], "where a link leads is what changed");
        assert_eq!(named("/", &[]).len(), 7);
    }

    #[test]
    fn each_of_several_sources_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (context(directory.path(), OLD, &[]), context(directory.path(), NEW, &[]));
        for sources in [["a.txt", "link"], ["link", "a.txt"]] {
            let found = Files::new(&new, &old, walking()).changed(sources, &crate::execute::mount_request(0));
            let Some(Why::FilesChanged { paths, .. }) = found else { panic!("{found:?}") };
            assert_eq!(paths.into_iter().map(|path| path.path).collect::<Vec<_>>(), ["a.txt", "link"]);
        }
    }

    #[test]
    fn another_ignore_file_shows_what_did_not_change() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (context(directory.path(), OLD, &["**/*.log"]), context(directory.path(), OLD, &[]));
        assert_eq!(listed(&Files::new(&new, &old, walking()), "d", &[]), [("d/x.log".to_owned(), PathChange::Added)]);
    }

    #[test]
    fn long_lists_end_with_a_number() {
        let names: Vec<String> = (0..70).map(|number| format!("d/{number:02}")).collect();
        let files = |content| names.iter().map(|name| (name.as_str(), content, FILE)).collect::<Vec<_>>();
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (context(directory.path(), &files("1"), &[]), context(directory.path(), &files("2"), &[]));
        let found = Files::new(&new, &old, walking()).changed(["d"], &crate::execute::mount_request(0));
        let Some(Why::FilesChanged { paths, more, .. }) = found else { panic!("{found:?}") };
        assert_eq!((paths.len(), more), (50, 20));
    }

    #[test]
    fn a_large_repository_costs_what_changed() {
        let names: Vec<String> = (0..100_000).map(|number| format!("src/{:03}/{number:06}", number / 200)).collect();
        let mut files: Vec<_> = names.iter().map(|name| (name.as_str(), "1", FILE)).collect();
        let directory = tempfile::tempdir().unwrap();
        let old = context(directory.path(), &files, &["**/*.log"]);
        files[77_777].1 = "2";
        let new = context(directory.path(), &files, &["**/*.log"]);
        let began = Instant::now();
        let found = listed(&Files::new(&new, &old, walking()), ".", &[]);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(found, [("src/388/077777".to_owned(), PathChange::Changed)]);
        println!("100000 files were compared in {:?}", began.elapsed());
    }
}
