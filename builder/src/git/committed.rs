//! Commits of a mirror that tests make up.

use super::commit::CommitTree;
use super::fetch_request::CommitId;
use super::mirror::Mirror;
use crate::context::{Context, NamedContext};
use files::ignore::Ignore;
use git2::{Index, IndexEntry, IndexTime, Repository, Signature, Time};
use std::path::Path;

/// A regular file.
pub(crate) const FILE: u32 = 0o100_644;
/// A file that may be executed.
pub(crate) const PROGRAM: u32 = 0o100_755;
/// A symbolic link.
pub(crate) const LINK: u32 = 0o120_000;

/// Commits files, each with its mode, to a mirror in `directory` and returns the context that they are.
pub(crate) fn context(directory: &Path, files: &[(&str, &str, u32)], ignored: &[&str]) -> NamedContext {
    let mirror = Mirror::open(directory, "https://host/a.git").unwrap();
    let bare = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let bare = bare.into_iter().find(|path| path.extension().is_some_and(|end| end == "git")).unwrap();
    let repository = Repository::open_bare(bare).unwrap();
    let mut index = Index::new().unwrap();
    let (mut last, mut blob) = ("", repository.blob(b"").unwrap());
    for (path, content, mode) in files {
        if *content != last {
            (last, blob) = (content, repository.blob(content.as_bytes()).unwrap());
        }
        let time = IndexTime::new(0, 0);
        let (dev, ino, uid, gid, file_size, flags, flags_extended) = (0, 0, 0, 0, 0, 0, 0);
        let (id, mode, path) = (blob, *mode, path.as_bytes().to_vec());
        let (ctime, mtime) = (time, time);
        let entry = IndexEntry { ctime, mtime, dev, ino, mode, uid, gid, file_size, id, flags, flags_extended, path };
        index.add(&entry).unwrap();
    }
    let tree = repository.find_tree(index.write_tree_to(&repository).unwrap()).unwrap();
    let who = Signature::new("a", "a@b", &Time::new(1_700_000_000, 0)).unwrap();
    let id = repository.commit(None, &who, &who, "m", &tree, &[]).unwrap().to_string();
    let tree = CommitTree::open(&mirror, &CommitId::parse(&id).unwrap(), "").unwrap();
    NamedContext { context: Context::Commit(tree), ignore: Ignore::new(ignored).unwrap() }
}
