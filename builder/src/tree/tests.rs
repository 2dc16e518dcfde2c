//! Stacks of layers.

use super::*;
use runtime::tar::{Entry, EntryKind, Writer};

fn index(entries: &[(&str, EntryKind)]) -> Arc<Index> {
    let mut writer = Writer::new(Vec::new());
    for (path, kind) in entries {
        let entry = Entry {
            path: path.as_bytes().to_vec(),
            kind: kind.clone(),
            mode: 0o755,
            uid: 1,
            gid: 2,
            mtime: 3,
            xattrs: Vec::new(),
        };
        let content = vec![b'x'; entry.size() as usize];
        writer.entry(&entry, &mut content.as_slice()).unwrap();
    }
    let tar = writer.finish().unwrap();
    let index = Index::from_tar(&mut tar.as_slice()).unwrap();
    assert_eq!(Index::from_bytes(&index.to_bytes()).unwrap(), index);
    Arc::new(index)
}

fn file() -> EntryKind {
    EntryKind::File { size: 5 }
}

fn link(target: &str) -> EntryKind {
    EntryKind::Symlink { target: target.as_bytes().to_vec() }
}

fn tree(layers: &[Arc<Index>]) -> Tree {
    Tree::new(layers.iter().cloned().enumerate().collect())
}

fn names(tree: &Tree, path: &str) -> Vec<String> {
    let children = tree.children(path.as_bytes()).unwrap();
    children.into_iter().map(|(name, _)| String::from_utf8(name).unwrap()).collect()
}

#[test]
fn upper_layers_add_replace_and_remove() {
    let below =
        index(&[("a", EntryKind::Directory), ("a/x", file()), ("a/y", file()), ("a.b", file()), ("d/e/f", file())]);
    let above = index(&[("a/.wh.x", file()), ("a/z", file()), ("d/.wh..wh..opq", file()), ("d/g", file())]);
    let tree = tree(&[below, above]);
    assert_eq!(names(&tree, ""), ["a", "a.b", "d"]);
    assert_eq!(names(&tree, "a"), ["y", "z"]);
    assert_eq!(names(&tree, "d"), ["g"]);
    assert!(tree.lookup(b"d/e/f").unwrap().is_none(), "an opaque directory hides everything below");
    assert_eq!(tree.location(b"a/y"), Some((0, b"a/y".to_vec(), 5)));
    assert_eq!(tree.location(b"a/z"), Some((1, b"a/z".to_vec(), 5)));
    assert_eq!(tree.lookup(b"a").unwrap().unwrap().uid, 1, "an implied directory is the one below");
}

#[test]
fn a_file_hides_the_directory_below() {
    let tree = tree(&[index(&[("a/b", file())]), index(&[("a", file())]), index(&[("a/c", file())])]);
    assert_eq!(names(&tree, "a"), ["c"]);
    assert!(tree.lookup(b"a/b").unwrap().is_none());
}

#[test]
fn links_are_followed_within_the_root() {
    let layer = index(&[
        ("real", EntryKind::Directory),
        ("abs", link("/real")),
        ("out", link("../../real/")),
        ("chain", link("abs")),
        ("loop", link("loop")),
    ]);
    let tree = tree(&[layer]);
    for path in ["abs/x", "out/x", "chain/x", "chain/../../real/x"] {
        assert_eq!(tree.resolve(path.as_bytes()).unwrap(), b"real/x", "{path}");
    }
    assert!(tree.resolve(b"loop").is_err());
}

#[test]
fn names_of_one_file_share_a_number_and_a_content() {
    let layer = index(&[("a", file()), ("b", EntryKind::HardLink { target: b"a".to_vec() })]);
    let tree = tree(&[layer]);
    let (a, b) = (tree.lookup(b"a").unwrap().unwrap(), tree.lookup(b"b").unwrap().unwrap());
    assert_eq!(a, b);
    assert!(a.hard_link.is_some());
    assert_eq!(tree.content(b"a").unwrap(), tree.content(b"b").unwrap());
}

#[test]
fn entries_that_lead_out_are_refused() {
    // REG-01
    let mut writer = Writer::new(Vec::new());
    let entry = Entry { path: b"../x".to_vec(), kind: file(), mode: 0, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() };
    writer.entry(&entry, &mut &b"12345"[..]).unwrap();
    assert!(Index::from_tar(&mut writer.finish().unwrap().as_slice()).is_err());
}
