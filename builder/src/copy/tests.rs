//! Copies, planned on indexes.

use super::*;
use crate::walk::Walk;
use files::tar::{Entry, EntryKind, Writer};
use files::tree::{Index, Tree};
use std::sync::Arc;

pub(super) fn entry(path: &str, kind: EntryKind) -> Entry {
    let mode = if kind == EntryKind::Directory { 0o700 } else { 0o640 };
    Entry { path: path.as_bytes().to_vec(), kind, mode, uid: 7, gid: 8, mtime: 9, xattrs: Vec::new() }
}

pub(super) fn tree(entries: &[(&str, &str)]) -> Tree {
    let mut writer = Writer::new(Vec::new());
    for (path, what) in entries {
        match *what {
            "dir" => writer.bare(&entry(path, EntryKind::Directory)).unwrap(),
            text if text.starts_with("-> ") => {
                writer.bare(&entry(path, EntryKind::Symlink { target: text[3..].into() })).unwrap();
            }
            text if text.starts_with("= ") => {
                writer.bare(&entry(path, EntryKind::HardLink { target: text[2..].into() })).unwrap();
            }
            text => {
                let file = entry(path, EntryKind::File { size: text.len() as u64 });
                writer.entry(&file, &mut text.as_bytes()).unwrap();
            }
        }
    }
    let tar = writer.finish().unwrap();
    Tree::new(vec![(0, Arc::new(Index::from_tar(&mut tar.as_slice()).unwrap()))])
}

pub(super) fn request<'s>(sources: &[&'s str], destination: &str) -> (Vec<&'s str>, CopyRequest) {
    let request = CopyRequest { workdir: "/work".to_owned(), ..CopyRequest::to(destination, 100) };
    (sources.to_vec(), request)
}

pub(super) type Asked<'s> = (Vec<&'s str>, CopyRequest);

pub(super) fn copied(from: &Tree, to: &Tree, asked: &Asked<'_>) -> Result<Vec<LayerEntry>, CopyError> {
    let (sources, request) = asked;
    let mut selected = Vec::new();
    for source in sources {
        selected.extend(select(from, source, request)?);
    }
    let inputs: Vec<_> = selected.iter().map(|selection| CopyInput::Files(0, selection)).collect();
    plan_copy(Destination::new(to, &walk()), &inputs, request)
}

/// The expected result of a copy.
pub(super) enum Expected {
    /// The layer names these paths.
    Makes(&'static [&'static str]),
    /// It fails with a message that has this in it.
    Fails(&'static str),
}

impl Expected {
    pub(super) fn check(&self, what: &str, planned: Result<Vec<LayerEntry>, CopyError>) {
        match (self, planned) {
            (Expected::Makes(expected), Ok(planned)) => {
                let paths: Vec<_> =
                    planned.iter().map(|one| String::from_utf8_lossy(&one.entry.path).into_owned()).collect();
                assert_eq!(paths, *expected, "{what}");
            }
            (Expected::Fails(expected), Err(error)) => {
                assert!(error.to_string().contains(expected), "{what}: {error}");
            }
            (Expected::Makes(_), Err(error)) => panic!("{what}: {error}"),
            (Expected::Fails(_), Ok(planned)) => panic!("{what} must fail: {planned:?}"),
        }
    }
}

pub(super) fn paths(from: &Tree, to: &Tree, request: &Asked<'_>) -> Vec<String> {
    let planned = copied(from, to, request).unwrap();
    planned.iter().map(|planned| String::from_utf8_lossy(&planned.entry.path).into_owned()).collect()
}

/// Returns a walk that nothing ends.
pub(crate) fn walk() -> Walk {
    Walk::new(crate::walk::MAX_PATHS, &runtime::CancellationToken::new())
}

fn source() -> Tree {
    tree(&[
        ("a.txt", "one"),
        ("d", "dir"),
        ("d/x", "two"),
        ("d/l", "-> x"),
        ("d/sub/y", "three"),
        ("link", "-> d"),
        (".dot", "4"),
    ])
}

#[test]
fn files_go_by_name_into_directories() {
    let empty = Tree::default();
    assert_eq!(paths(&source(), &empty, &request(&["a.txt"], "/to/")), ["to", "to/a.txt"]);
    assert_eq!(paths(&source(), &empty, &request(&["a.txt"], "b")), ["work", "work/b"]);
    assert_eq!(paths(&source(), &tree(&[("b", "dir")]), &request(&["a.txt"], "/b")), ["b", "b/a.txt"]);
    assert_eq!(paths(&source(), &empty, &request(&["../../a.txt"], "/b")), ["b"], "E16");
}

#[test]
fn the_contents_of_a_directory_are_copied() {
    // E02
    let planned = copied(&source(), &Tree::default(), &request(&["d/."], "/new")).unwrap();
    let shown: Vec<_> =
        planned.iter().map(|planned| String::from_utf8_lossy(&planned.entry.path).into_owned()).collect();
    assert_eq!(shown, ["new", "new/l", "new/sub", "new/sub/y", "new/x"]);
    let root = &planned[0].entry;
    assert_eq!((root.mode, root.uid, root.mtime), (0o755, 0, 9), "the root is new, with the source's time");
    assert_eq!(planned[1].entry.kind, EntryKind::Symlink { target: b"x".to_vec() }, "E08");
    assert_eq!(paths(&source(), &Tree::default(), &request(&["link"], "/n")).len(), 5, "a named link is followed");
}

#[test]
fn wildcards_match_as_in_go() {
    let empty = Tree::default();
    assert_eq!(paths(&source(), &empty, &request(&["*.txt", "nomatch*"], "/t/")), ["t", "t/a.txt"], "E01");
    assert!(paths(&source(), &empty, &request(&["nomatch*"], "/t/")).is_empty());
    assert_eq!(paths(&source(), &empty, &request(&["d/*"], "/t/")), ["t", "t/l", "t/x", "t/y"]);
    let error = copied(&source(), &empty, &request(&["none"], "/t/")).unwrap_err();
    assert!(error.to_string().ends_with("\"/none\": not found"), "{error}");
}

#[test]
fn existing_directories_keep_their_metadata_at_the_destination_only() {
    // E03
    let to = tree(&[("e", "dir"), ("e/sub", "dir")]);
    let mut asked = request(&["d"], "/e");
    asked.1.chown = Some(Owner { uid: 300, gid: 400 });
    let planned = copied(&source(), &to, &asked).unwrap();
    let owner = |path: &str| {
        planned.iter().find(|planned| planned.entry.path == path.as_bytes()).map(|planned| planned.entry.uid)
    };
    assert_eq!(owner("e"), Some(7));
    assert_eq!(owner("e/sub"), Some(300));
}

#[test]
fn links_at_the_destination_are_followed_and_conflicts_refused() {
    let to = tree(&[("real", "dir"), ("l", "-> /real"), ("t", "dir"), ("t/sub", "-> /real"), ("t/x", "dir")]);
    assert_eq!(paths(&source(), &to, &request(&["a.txt"], "/l/")), ["real", "real/a.txt"], "E09");
    let conflict = copied(&source(), &to, &request(&["d"], "/t/")).unwrap_err();
    assert!(matches!(conflict, CopyError::DirectoryOverFile(_) | CopyError::FileOverDirectory(_)), "E10: {conflict}");
}

#[test]
fn parents_keep_the_path_after_the_pivot() {
    // E12
    let mut asked = request(&["d/./sub/y"], "/out/");
    asked.1.parents = true;
    assert_eq!(paths(&source(), &Tree::default(), &asked), ["out", "out/sub", "out/sub/y"]);
    asked.0 = vec!["**/y"];
    assert_eq!(paths(&source(), &Tree::default(), &asked), ["out", "out/d", "out/d/sub", "out/d/sub/y"]);
}

#[test]
fn a_pattern_may_match_nothing_but_begins_in_a_directory_that_is_there() {
    // DF-156
    let copy = |pattern: &'static str| copied(&source(), &Tree::default(), &request(&[pattern], "/o/"));
    assert_eq!(copy("d/none*").unwrap().len(), 0);
    assert_eq!(copy("none*/x").unwrap().len(), 0);
    assert!(matches!(copy("none/*"), Err(CopyError::NoDirectory(path)) if path == "/none"));
}

#[test]
fn exclusions_are_relative_to_each_source() {
    // E13
    let mut asked = request(&["d"], "/o");
    asked.1.excludes = vec!["sub".to_owned(), "l".to_owned()];
    assert_eq!(paths(&source(), &Tree::default(), &asked), ["o", "o/x"]);
}

#[test]
fn names_of_one_file_stay_one_file() {
    let from = tree(&[("d/a", "x"), ("d/b", "= d/a")]);
    let planned = copied(&from, &Tree::default(), &request(&["d"], "/o")).unwrap();
    assert_eq!(planned[2].entry.kind, EntryKind::HardLink { target: b"o/a".to_vec() });
}

#[test]
fn made_parents_take_an_octal_mode() {
    // E07
    let mut asked = request(&["a.txt"], "/p/f");
    asked.1.chmod = Some(Chmod::parse("770").unwrap());
    let modes: Vec<_> =
        copied(&source(), &Tree::default(), &asked).unwrap().iter().map(|planned| planned.entry.mode).collect();
    assert_eq!(modes, [0o770, 0o770]);
}

#[test]
fn the_key_is_of_content_not_of_place_or_time() {
    let key = |tree: &Tree, source: &str| {
        let asked = request(&[source], "/").1;
        let selected = select(tree, source, &asked).unwrap();
        selected.iter().map(|selection| selection_key(tree, selection).unwrap()).collect::<Vec<_>>()
    };
    let renamed = tree(&[("other", "dir"), ("other/x", "two"), ("other/l", "-> x"), ("other/sub/y", "three")]);
    let changed = tree(&[("d", "dir"), ("d/x", "TWO"), ("d/l", "-> x"), ("d/sub/y", "three")]);
    assert_eq!(key(&source(), "d/*"), key(&renamed, "other/*"));
    assert_ne!(key(&source(), "d/*"), key(&changed, "d/*"));
}

#[test]
fn archives_are_recognised_by_content() {
    // E19
    let mut writer = Writer::new(Vec::new());
    writer.entry(&entry("f", EntryKind::File { size: 1 }), &mut &b"x"[..]).unwrap();
    let tar = writer.finish().unwrap();
    let is_archive = |bytes: Vec<u8>| crate::layer::tar_in(Box::new(std::io::Cursor::new(bytes))).unwrap().is_some();
    assert!(is_archive(tar.clone()));
    assert!(is_archive(zstd::encode_all(tar.as_slice(), 1).unwrap()));
    assert!(!is_archive(zstd::encode_all(&b"no tar"[..], 1).unwrap()));
    assert!(!is_archive(vec![0; 10240]));
    assert!(!is_archive(Vec::new()));
}

#[test]
fn archives_replace_what_is_in_their_way() {
    // E20
    let mut writer = Writer::new(Vec::new());
    writer.entry(&entry("was-dir", EntryKind::File { size: 1 }), &mut &b"x"[..]).unwrap();
    writer.bare(&entry("h", EntryKind::HardLink { target: b"was-dir".to_vec() })).unwrap();
    writer.entry(&entry("../../up/f", EntryKind::File { size: 1 }), &mut &b"x"[..]).unwrap();
    let tar = writer.finish().unwrap();
    let archive = Archive::read("a.tar", &mut tar.as_slice()).unwrap();
    let to = tree(&[("o", "dir"), ("o/was-dir/x", "y")]);
    let planned =
        plan_copy(Destination::new(&to, &walk()), &[CopyInput::Archive(&archive)], &request(&[], "/o").1).unwrap();
    let shown: Vec<_> =
        planned.iter().map(|planned| String::from_utf8_lossy(&planned.entry.path).into_owned()).collect();
    assert_eq!(shown, ["o", "o/h", "o/up", "o/up/f", "o/was-dir"]);
    assert!(matches!(planned[4].entry.kind, EntryKind::HardLink { .. }));
}
