//! Stacks of layers.

use super::*;
use crate::tar::{Entry, EntryKind, Writer};
use crate::view::View;
use std::sync::Arc;

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

#[test]
fn of_a_path_that_a_layer_holds_twice_the_last_entry_counts() {
    // EN-43
    let hard = |target: &str| EntryKind::HardLink { target: target.as_bytes().to_vec() };
    let layer = index(&[
        ("dup", file()),
        ("name", hard("dup")),
        ("./dup", EntryKind::File { size: 7 }),
        ("d/x", file()),
        ("d", file()),
        ("f", file()),
        ("f", link("dup")),
        (".wh.gone", file()),
        ("gone", file()),
        ("lib", link("usr/lib")),
        ("usr/lib", EntryKind::Directory),
        ("lib/so", file()),
    ]);
    let of = |number, path: &'static str| layer.path_of_content(number, path.as_bytes());
    assert_eq!(of(0, "dup"), Some(&b"name"[..]), "another name has the content of the first entry");
    assert_eq!(of(2, "dup"), Some(&b"dup"[..]));
    assert_eq!((of(3, "d/x"), of(4, "d")), (None, Some(&b"d"[..])));
    assert_eq!(of(5, "f"), None);
    assert_eq!(of(11, "lib/so"), Some(&b"usr/lib/so"[..]), "links of the layer are followed, as unpacking does");
    let tree = tree(&[layer]);
    assert_eq!(tree.location(b"dup"), Some((0, b"dup".to_vec(), 7)));
    assert_eq!(tree.location(b"name"), Some((0, b"name".to_vec(), 5)));
    assert!(tree.lookup(b"d/x").unwrap().is_none());
    assert_eq!(names(&tree, ""), ["d", "dup", "f", "gone", "lib", "name", "usr"]);
}

#[test]
fn layers_that_lead_too_far_are_refused() {
    // SEC-m6
    let tar = |entries: &[(&str, EntryKind)]| {
        let mut writer = Writer::new(Vec::new());
        for (path, kind) in entries {
            let (path, kind) = (path.as_bytes().to_vec(), kind.clone());
            let entry = Entry { path, kind, mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() };
            writer.entry(&entry, &mut vec![b'x'; entry.size() as usize].as_slice()).unwrap();
        }
        writer.finish().unwrap()
    };
    let said = |tar: &[u8], max: u64| Index::bounded(&mut &*tar, max).unwrap_err().to_string();
    let hard = |target: &str| EntryKind::HardLink { target: target.as_bytes().to_vec() };
    // The announced size is enough: none of the bytes are read.
    let announced = &tar(&[("a", EntryKind::File { size: 3000 })])[..512];
    assert!(said(announced, 2048).contains("more than 2 KiB"), "{}", said(announced, 2048));
    assert!(said(&tar(&[("a", file()), ("a/b", file())]), 99).contains("a file is in the place of its directory"));
    assert!(said(&tar(&[("a", hard("a"))]), 99).contains("a hard link to itself"));
    assert!(said(&tar(&[("a", EntryKind::Directory), ("b", hard("a"))]), 99).contains("a hard link to a directory"));
    // The same path again and again: the number of entries counts, not that of paths.
    let header = tar(&[("a", EntryKind::File { size: 0 })])[..512].to_vec();
    let many = std::io::Read::take(Again { block: header, at: 0 }, 512 * 2_100_000);
    let error = Index::from_tar(&mut { many }).unwrap_err().to_string();
    assert!(error.contains("more than 2000000 entries"), "{error}");
}

/// One block without end.
struct Again {
    block: Vec<u8>,
    at: usize,
}

impl std::io::Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let got = buffer.len().min(self.block.len() - self.at);
        buffer[..got].copy_from_slice(&self.block[self.at..self.at + got]);
        self.at = (self.at + got) % self.block.len();
        Ok(got)
    }
}
