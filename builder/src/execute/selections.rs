//! What `COPY` and mounts take of a context, as part of a definition.
//!
//! A directory of a commit says by its id whether it is the same: what was selected of it is remembered, so that a push
//! costs what it changed and not what the repository holds.

use super::copy::{escaped, mount_request, request};
use crate::context::NamedContext;
use crate::copy::{self, CopyError, CopyRequest};
use crate::ignore::Filtered;
use crate::key::KeyBuilder;
use crate::pattern;
use crate::plan::{Copy, Source};
use crate::tree::resolve_in;
use crate::view::View;
use image_store::Store;
use runtime::tar::clean_path;

/// What the notes of selections are called.
pub const SELECTIONS: &str = "selections";

/// Returns the key of the files of a context that `copy` takes.
pub fn of_copy(named: &NamedContext, copy: &Copy, store: &Store) -> Option<String> {
    let request = request(copy, None, 0).ok()?;
    let selecting = Selecting { named, view: Filtered::new(&named.context, &named.ignore), store };
    let mut key = KeyBuilder::new("files.1");
    for source in &copy.sources {
        // What an address gives is known when it has been asked.
        let Source::Path(path) = source else { return None };
        selecting.add(&mut key, path, &request).ok()?;
    }
    Some(key.finish())
}

/// Returns the key of the files of a context that a mount of `path` shows.
pub fn of_mount(named: &NamedContext, path: &str, store: &Store) -> Option<String> {
    let selecting = Selecting { named, view: Filtered::new(&named.context, &named.ignore), store };
    let mut key = KeyBuilder::new("files.1");
    selecting.add(&mut key, &escaped(path), &mount_request(0)).ok()?;
    Some(key.finish())
}

/// Selects files of a context.
struct Selecting<'s> {
    named: &'s NamedContext,
    view: Filtered<'s>,
    store: &'s Store,
}

impl Selecting<'_> {
    fn add(&self, key: &mut KeyBuilder, path: &str, request: &CopyRequest) -> Result<(), CopyError> {
        let name = self.directory(path, request);
        let known = name.as_ref().and_then(|name| self.store.note(SELECTIONS, name.as_bytes()).ok().flatten());
        if let Some(known) = known.and_then(|bytes| String::from_utf8(bytes).ok()) {
            key.text("1").text(&known);
            return Ok(());
        }
        let selections = copy::select(&self.view, path, request)?;
        let keys = selections.iter().map(|selection| copy::selection_key(&self.view, selection));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        key.text(&keys.len().to_string());
        for known in &keys {
            key.text(known);
        }
        if let (Some(name), [only]) = (name, keys.as_slice()) {
            // Without the note it is only found out again.
            let _ = self.store.put_note(SELECTIONS, name.as_bytes(), only.as_bytes());
        }
        Ok(())
    }

    /// Names the selection of one directory of a commit by all that decides it; `None` where anything else is taken.
    fn directory(&self, path: &str, request: &CopyRequest) -> Option<String> {
        if pattern::has_wildcard(path) || request.parents {
            return None;
        }
        let clean = clean_path(path.as_bytes());
        let resolved = resolve_in(&clean, |path| self.view.lookup(path).ok().flatten()).ok()?;
        let id = self.named.context.tree_id(&resolved)?;
        let mut key = KeyBuilder::new("directory.1");
        key.text(&id).field(&clean).field(&resolved).list(&request.excludes);
        // Whose patterns decide is as the view has them, whose places count.
        Some(key.text(&format!("{:?}", self.named.ignore)).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::ignore::Ignore;
    use crate::source::{CommitId, CommitTree, Mirror};
    use git2::{Repository, Signature, Time};
    use std::path::Path;

    /// Commits files of the directory `d` and returns the context that they are.
    fn context(directory: &Path, files: &[(&str, &str)], ignored: &[&str]) -> NamedContext {
        let mirror = Mirror::open(directory, "https://host/a.git").unwrap();
        let bare = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
        let bare = bare.into_iter().find(|path| path.extension().is_some_and(|end| end == "git")).unwrap();
        let repository = Repository::open_bare(bare).unwrap();
        let mut inner = repository.treebuilder(None).unwrap();
        for (name, content) in files {
            inner.insert(name, repository.blob(content.as_bytes()).unwrap(), 0o100_644).unwrap();
        }
        let mut root = repository.treebuilder(None).unwrap();
        root.insert("d", inner.write().unwrap(), 0o040_000).unwrap();
        let tree = repository.find_tree(root.write().unwrap()).unwrap();
        let who = Signature::new("a", "a@b", &Time::new(1_700_000_000, 0)).unwrap();
        let id = repository.commit(None, &who, &who, "m", &tree, &[]).unwrap().to_string();
        let tree = CommitTree::open(&mirror, &CommitId::parse(&id).unwrap(), "").unwrap();
        NamedContext { context: Context::Commit(tree), ignore: Ignore::new(ignored).unwrap() }
    }

    #[test]
    fn a_directory_that_is_the_same_is_not_looked_at_again() {
        let directory = tempfile::tempdir().unwrap();
        let (mirrors, store) = (directory.path().join("git"), Store::open(&directory.path().join("images")).unwrap());
        let key = |files: &[(&str, &str)], ignored: &[&str], store: &Store| {
            of_mount(&context(&mirrors, files, ignored), "d", store).unwrap()
        };
        let files = [("a", "1"), ("b.log", "2")];
        let first = key(&files, &[], &store);
        assert_eq!(key(&files, &[], &store), first);
        let other = Store::open(&directory.path().join("other")).unwrap();
        assert_eq!(key(&files, &[], &other), first, "remembered or found out, it is the same");
        assert_ne!(key(&[("a", "3"), ("b.log", "2")], &[], &store), first);
        let without_logs = key(&files, &["**/*.log"], &store);
        assert_ne!(without_logs, first);
        assert_eq!(key(&[("a", "1"), ("b.log", "4")], &["**/*.log"], &store), without_logs, "what is ignored changed");
        // Another text in the notes shows that they are what counts.
        let notes = std::fs::read_dir(directory.path().join("images/notes").join(SELECTIONS)).unwrap().flatten();
        notes.for_each(|note| std::fs::write(note.path(), "changed").unwrap());
        assert_ne!(key(&files, &[], &store), first);
    }
}
