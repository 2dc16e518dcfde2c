//! What was selected of a directory of a commit is remembered by the directory's id.

use super::{CommitId, CommitTree, Mirror};
use crate::context::{Context, NamedContext};
use crate::execute::SELECTIONS;
use crate::execute::selections::of_mount;
use crate::ignore::Ignore;
use git2::{Repository, Signature, Time};
use image_store::Store;
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
