//! Ignore files, tars and layers: what was read is bounded, and comes back the same when it is written again.

use crate::layer::{Growth, decompress_within};
use files::ignore::Ignore;
use files::path::{clean_path, join};
use files::tar::{Entry, EntryKind, Reader, Writer};
use files::tree::{Index, Tree};
use files::view::View;
use registry_client::media_type;
use std::io::{Cursor, Read};
use std::sync::Arc;

/// Bytes of content that are read of one input.
const MAX_CONTENT: u64 = 8 * 1024 * 1024;

/// Reads an ignore file, and asks it for the paths that follow its first zero byte.
pub fn ignore(data: &[u8]) {
    let mut parts = data.split(|&byte| byte == 0);
    let text = parts.next().unwrap_or_default();
    let Ok(ignore) = Ignore::parse(text) else { return };
    // The last pattern decides.
    let all = Ignore::parse(&[text, b"\n**"].concat()).expect("a valid line is added to a valid file");
    let nothing = Ignore::parse(&[text, b"\n!**"].concat()).expect("a valid line is added to a valid file");
    for path in parts.map(clean_path).filter(|path| !path.is_empty()) {
        assert_eq!(ignore.hiding(&path).is_some(), ignore.ignores(&path));
        assert!(all.ignores(&path) && !nothing.ignores(&path), "{:?}", String::from_utf8_lossy(&path));
    }
}

/// Reads a tar, writes what it holds, and reads that.
pub fn tar(data: &[u8]) {
    let read = entries(data);
    let names: usize = read.iter().map(|(entry, _)| entry.path.len()).sum();
    assert!(names <= data.len() && read.len() <= data.len() / 512 + 1);
    // A nameless entry has no form in which it can be written as a directory.
    let named: Vec<_> = read.into_iter().filter(|(entry, _)| !entry.path.is_empty()).collect();
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in &named {
        if writer.entry(entry, &mut content.as_slice()).is_err() {
            return;
        }
    }
    let written = writer.finish().expect("memory takes everything");
    assert!(entries(&written) == named, "{named:?} comes back as {:?}", entries(&written));
}

/// Reads whole entries until the end of a tar or the first error.
fn entries(data: &[u8]) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::new(data);
    let mut entries = Vec::new();
    while let Ok(Some(entry)) = reader.next_entry() {
        let mut content = Vec::new();
        if matches!(entry.kind, EntryKind::File { .. }) {
            let read = reader.by_ref().take(MAX_CONTENT).read_to_end(&mut content);
            if read.is_err() || content.len() as u64 != entry.size() {
                break;
            }
        }
        entries.push((entry, content));
    }
    entries
}

/// Reads a layer, compressed or not, into an index; the first byte says what it claims to be.
pub fn layer(data: &[u8]) {
    let Some((kind, blob)) = data.split_first() else { return };
    let kind = match kind % 3 {
        0 => media_type::OCI_LAYER,
        1 => media_type::OCI_LAYER_GZIP,
        _ => media_type::OCI_LAYER_ZSTD,
    };
    let growth = Growth::own(MAX_CONTENT);
    let Ok(mut tar) = decompress_within(Cursor::new(blob.to_vec()), kind, growth) else { return };
    let Ok(index) = Index::bounded(&mut tar, MAX_CONTENT) else { return };
    let stored = Index::from_bytes(&index.to_bytes()).expect("an index that was stored is read");
    assert!(stored == index, "{stored:?} is not {index:?}");
    walk(&Tree::new(vec![(0, Arc::new(index))]), b"", 0);
}

/// Walks over all that a tree shows: each name is found under its path, and only directories hold others.
fn walk(tree: &Tree, directory: &[u8], depth: usize) {
    assert!(depth <= 4096);
    for (name, node) in tree.children(directory).expect("a tree in memory is read") {
        let path = join(directory, &name);
        assert!(!name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/'), "{name:?}");
        let found = tree.lookup(&path).expect("a tree in memory is read");
        assert!(found.as_ref() == Some(&node), "{:?}: {found:?} is not {node:?}", String::from_utf8_lossy(&path));
        match node.kind {
            EntryKind::Directory => walk(tree, &path, depth + 1),
            EntryKind::Symlink { .. } => drop(tree.resolve(&path)),
            EntryKind::File { .. } => assert!(tree.location(&path).is_some()),
            _ => {}
        }
    }
}
