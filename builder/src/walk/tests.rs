//! Trees that stand for more paths than there is memory.

use super::*;
use crate::copy::{self, CopyError, CopyRequest};
use files::ignore::{Filtered, Ignore};
use std::time::{Duration, Instant};

/// A tree in which every directory has ten more in it.
struct Endless;

fn node(kind: EntryKind) -> Node {
    Node { kind, mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new(), hard_link: None }
}

impl View for Endless {
    fn lookup(&self, _: &[u8]) -> Result<Option<Node>, ViewError> {
        Ok(Some(node(EntryKind::Directory)))
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        let deep = path.iter().filter(|&&byte| byte == b'/').count() > 8;
        let kind = if deep { EntryKind::File { size: 1 } } else { EntryKind::Directory };
        Ok((b'0'..=b'9').map(|name| (vec![name], node(kind.clone()))).collect())
    }

    fn content(&self, _: &[u8]) -> Result<ContentId, ViewError> {
        Ok(ContentId("x".to_owned()))
    }
}

/// A directory in a directory, for ever.
struct Bottomless;

impl View for Bottomless {
    fn lookup(&self, _: &[u8]) -> Result<Option<Node>, ViewError> {
        Ok(Some(node(EntryKind::Directory)))
    }

    fn children(&self, _: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        Ok(vec![(b"d".to_vec(), node(EntryKind::Directory))])
    }

    fn content(&self, _: &[u8]) -> Result<ContentId, ViewError> {
        Ok(ContentId("x".to_owned()))
    }
}

fn request(parents: bool, excludes: &[&str]) -> CopyRequest {
    let excludes = excludes.iter().map(ToString::to_string).collect();
    CopyRequest { parents, excludes, ..crate::execute::mount_request(0) }
}

fn taken(view: &dyn View, source: &str, request: &CopyRequest, ignored: &[&str]) -> Result<usize, CopyError> {
    let (walk, ignore) = (Walk::new(20_000, &CancellationToken::new()), Ignore::new(ignored).unwrap());
    let walked = Walked::new(view, &walk);
    let selected = copy::select(&Filtered::new(&walked, &ignore), source, request)?;
    Ok(selected.iter().map(|selection| selection.items.len() + 1).sum())
}

#[test]
fn every_way_to_name_too_many_paths_ends() {
    // SEC-B3
    let began = Instant::now();
    let (plain, parents, excluding) = (request(false, &[]), request(true, &[]), request(false, &["**", "!**/z"]));
    for (source, request, ignored) in [
        (".", &plain, &[][..]),
        ("*", &plain, &[]),
        ("*/*/*/*/*/*/*/*", &plain, &[]),
        ("**/9", &parents, &[]),
        ("*", &parents, &[]),
        (".", &excluding, &[]),
        ("0", &excluding, &[]),
        (".", &plain, &["**", "!none"]),
        ("5", &plain, &["*", "!*/*/*/*/z"]),
        (".", &plain, &["**/0"]),
    ] {
        let error = taken(&Endless, source, request, ignored).unwrap_err();
        assert_eq!(error.code(), "too_many_paths", "{source} {ignored:?}: {error}");
        assert!(error.to_string().contains("limits.paths"), "{error}");
    }
    let error = taken(&Bottomless, ".", &plain, &[]).unwrap_err();
    assert_eq!(error.code(), "path_too_long", "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn what_is_ignored_whole_is_not_counted() {
    // SEC-B3
    let few = taken(&Endless, ".", &request(false, &[]), &["[1-9]", "0/[1-9]", "0/0/[1-9]", "0/0/0/[1-9]", "0/0/0/0"]);
    assert_eq!(few.unwrap(), 4, "the root, and three directories");
}

#[test]
fn a_walk_ends_with_the_build() {
    // SEC-B3
    let cancel = CancellationToken::new();
    let (walk, ignore) = (Walk::new(usize::MAX, &cancel), Ignore::default());
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        cancel.cancel();
    });
    let began = Instant::now();
    let walked = Walked::new(&Endless, &walk);
    let error = copy::select(&Filtered::new(&walked, &ignore), "**/x", &request(true, &[])).unwrap_err();
    assert_eq!(error, CopyError::Walk(WalkError::Cancelled));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    ending.join().unwrap();
}

#[test]
fn who_takes_many_paths_waits_for_others_who_do() {
    // SEC-B3
    let (large, cancel) = (Arc::new(Semaphore::new(1)), CancellationToken::new());
    let small = Walk::new(1000, &cancel).one_at_a_time(&large);
    let take = |walk: &Walk, count: usize| (0..count).try_for_each(|_| walk.take(b"x", &node(EntryKind::Directory)));
    take(&small, 100).unwrap();
    let first = Walk::new(1000, &cancel).one_at_a_time(&large);
    take(&first, 500).unwrap();
    take(&small, 10).unwrap();
    std::thread::scope(|scope| {
        let second = Walk::new(1000, &cancel).one_at_a_time(&large);
        let waiting = scope.spawn(move || take(&second, 500));
        std::thread::sleep(Duration::from_millis(150));
        assert!(!waiting.is_finished());
        drop(first);
        waiting.join().unwrap().unwrap();
    });
}
