//! Tests: the selection of a directory of a commit is remembered by the directory's id.

use super::selections::{SELECTIONS, of_mount};
use crate::context::NamedContext;
use crate::git::committed::{self, FILE};
use crate::walk::{MAX_PATHS, Walk};
use image_store::Store;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Returns the context that files of the directory `d` are.
fn context(directory: &Path, files: &[(&str, &str)], ignored: &[&str]) -> NamedContext {
    let paths: Vec<_> = files.iter().map(|(name, content)| (format!("d/{name}"), *content)).collect();
    let files: Vec<_> = paths.iter().map(|(path, content)| (path.as_str(), *content, FILE)).collect();
    committed::context(directory, &files, ignored)
}

#[test]
fn a_directory_that_is_the_same_is_not_looked_at_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mirrors, store) = (directory.path().join("git"), Store::open(&directory.path().join("images")).unwrap());
    let key = |files: &[(&str, &str)], ignored: &[&str], store: &Store| {
        let walk = Walk::new(MAX_PATHS, &runtime::CancellationToken::new());
        of_mount(&context(&mirrors, files, ignored), "d", store, &walk).ok().unwrap()
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
    let changed = [Sha256::digest("changed").as_slice(), b"changed"].concat();
    notes.for_each(|note| std::fs::write(note.path(), &changed).unwrap());
    assert_ne!(key(&files, &[], &store), first);
}
