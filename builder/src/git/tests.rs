//! Commits without a checkout, and directories that look the same.

use crate::git::*;
use files::view::{EntryKind, View};
use git2::{Repository, Signature, Time};
use std::io::Read;
use std::path::Path;

/// Commits the files of a work tree and returns the commit's hash.
fn commit(repository: &Repository, message: &str) -> String {
    let mut index = repository.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let who = Signature::new("a", "a@b", &Time::new(1_700_000_000, 0)).unwrap();
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents).unwrap().to_string()
}

/// Returns a mirror that already has everything of the repository in `directory`.
fn mirrored(directory: &Path) -> Mirror {
    let mirror = Mirror::open(&directory.join("git"), "https://host/a.git").unwrap();
    let bare = mirror.repository().unwrap();
    let work = directory.join("work");
    bare.remote_anonymous(&format!("file://{}", work.display()))
        .unwrap()
        .fetch(&["+refs/*:refs/*"], None, None)
        .unwrap();
    mirror
}

fn work_tree(directory: &Path) -> String {
    let work = directory.join("work");
    let repository = Repository::init(&work).unwrap();
    std::fs::create_dir_all(work.join("d/sub")).unwrap();
    std::fs::write(work.join("d/sub/f"), "content").unwrap();
    std::fs::write(work.join("run.sh"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(work.join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("d/sub", work.join("link")).unwrap();
    commit(&repository, "first line\n\nmore")
}

#[test]
fn a_commit_and_a_directory_show_the_same_files() {
    let temporary = tempfile::tempdir().unwrap();
    let id = CommitId::parse(&work_tree(temporary.path())).unwrap();
    let tree = CommitTree::open(&mirrored(temporary.path()), &id, "").unwrap();
    let directory = Directory::open(&temporary.path().join("work"), None).unwrap();
    assert_eq!(tree.message(), "first line");
    assert_eq!(tree.commit_time(), 1_700_000_000);
    for path in ["run.sh", "d/sub/f", "link", "d", "none", "link/f"] {
        let (one, other) = (tree.lookup(path.as_bytes()).unwrap(), directory.lookup(path.as_bytes()).unwrap());
        assert_eq!(
            one.as_ref().map(|node| (&node.kind, node.mode)),
            other.as_ref().map(|node| (&node.kind, node.mode)),
            "{path}"
        );
    }
    assert_eq!(tree.content(b"d/sub/f").unwrap(), directory.content(b"d/sub/f").unwrap());
    let mut text = String::new();
    tree.open_file(b"d/sub/f").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "content");
    assert_eq!(tree.subtree("link").unwrap().lookup(b"f").unwrap().unwrap().kind, EntryKind::File { size: 7 });
    assert!(matches!(tree.subtree("run.sh"), Err(SourceError::ContextNotFound(_))));
}

#[test]
fn content_ids_are_kept_and_changes_seen() {
    let temporary = tempfile::tempdir().unwrap();
    let (root, cache) = (temporary.path().join("work"), temporary.path().join("cache"));
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("f"), "one").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(80));
    let first = Directory::open(&root, Some(&cache)).unwrap().content(b"f").unwrap();
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1);
    assert_eq!(Directory::open(&root, Some(&cache)).unwrap().content(b"f").unwrap(), first);
    std::fs::write(root.join("f"), "two").unwrap();
    assert_ne!(Directory::open(&root, Some(&cache)).unwrap().content(b"f").unwrap(), first);
}

#[test]
fn only_http_and_ssh_are_fetched_from() {
    // GIT-01, GIT-02, GIT-04
    let temporary = tempfile::tempdir().unwrap();
    for url in [
        "file:///etc",
        "ext::sh -c id",
        "git://host/a",
        "ssh://-x/a",
        "git@-x:a",
        "--upload-pack=x",
        "https://",
        "/etc",
    ] {
        let error = Mirror::open(temporary.path(), url).unwrap_err();
        assert_eq!(error.code(), "invalid_clone_url", "{url}");
    }
}

#[test]
fn git_urls_are_read_as_docker_reads_them() {
    let parsed = GitContext::parse("https://host/a.git#v1:dir/sub").unwrap().unwrap();
    assert_eq!(
        (parsed.url.as_str(), parsed.reference.as_deref(), parsed.subdir.as_str()),
        ("https://host/a.git", Some("v1"), "dir/sub")
    );
    assert_eq!(GitContext::parse("github.com/a/b").unwrap().unwrap().url, "https://github.com/a/b");
    assert_eq!(GitContext::parse("./dir#x").unwrap(), None);
}
