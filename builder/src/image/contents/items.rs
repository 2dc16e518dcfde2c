//! Files of an image or of one layer, flat, and the listing of a directory with the sizes of what is below.

use crate::Error;
use crate::error::Code;
use database::{FileKind, FileListing, ListedFile};
use files::path::join;
use files::tree::{Index, IndexEntry, Tree};
use files::view::{EntryKind, Node, View};
use std::collections::{BTreeMap, BTreeSet};

/// Entries of a directory that are listed at once.
pub(crate) const MAX_LISTED: usize = 500;

/// A path of an image or of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// The path without a slash at its beginning.
    pub path: Vec<u8>,
    /// The kind of entry.
    pub kind: FileKind,
    /// Bytes of content.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner and group.
    pub owner: (u32, u32),
    /// Where a link points.
    pub target: Option<Vec<u8>>,
    /// Number of the file of which this is one of several names.
    pub hard_link: Option<u64>,
    /// Id of the content of a regular file.
    pub content: Option<String>,
}

/// Returns what is below `path` in a whole image.
pub(crate) fn of_tree(tree: &Tree, path: &[u8]) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    let mut open = vec![path.to_vec()];
    let failed = |error| Error::new(Code::Index, "reading the files of an image").with_cause(error);
    while let Some(at) = open.pop() {
        for (name, node) in tree.children(&at).map_err(failed)? {
            let path = join(&at, &name);
            if node.kind == EntryKind::Directory {
                open.push(path.clone());
            }
            let content = matches!(node.kind, EntryKind::File { .. }).then(|| tree.content(&path).map(|id| id.0));
            items.push(Item { content: content.transpose().map_err(failed)?, ..item(path, &node) });
        }
    }
    Ok(items)
}

/// Returns what is below `path` in one layer.
pub(crate) fn of_layer(index: &Index, path: &[u8]) -> Vec<Item> {
    let below = |known: &[u8]| path.is_empty() || known.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/"));
    let items = index.entries().filter(|(known, _)| !known.is_empty() && below(known));
    let of_entry = |(path, entry): (&[u8], &IndexEntry)| match entry {
        IndexEntry::Node { node, .. } => item(path.to_vec(), node),
        IndexEntry::Whiteout => bare(path, FileKind::Removed),
        IndexEntry::Implied => bare(path, FileKind::Directory),
    };
    items.map(of_entry).collect()
}

/// Lists the directory `path` of `items`, which all are below it.
pub(crate) fn listing(items: &[Item], path: &[u8], skip: u64) -> FileListing {
    let start = if path.is_empty() { 0 } else { path.len() + 1 };
    let mut seen = BTreeSet::new();
    let mut listing = FileListing::default();
    let mut entries: BTreeMap<&[u8], ListedFile> = BTreeMap::new();
    for item in items {
        let Some(rest) = item.path.get(start..) else { continue };
        let name = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
        // A file with several names takes its room once.
        let is_first = item.hard_link.is_none_or(|number| seen.insert(number));
        let size = if is_first { item.size } else { 0 };
        let files = u64::from(matches!(item.kind, FileKind::File | FileKind::Link | FileKind::Special));
        let entry = entries.entry(name).or_insert_with(|| listed(name));
        if name.len() == rest.len() {
            (entry.kind, entry.mode, entry.owner) = (item.kind, item.mode, item.owner);
            entry.target = item.target.as_deref().map(|target| String::from_utf8_lossy(target).into_owned());
        }
        entry.size += size;
        entry.files += files;
        listing.size += size;
        listing.files += files;
    }
    listing.total = entries.len() as u64;
    let mut entries: Vec<ListedFile> = entries.into_values().collect();
    entries.sort_by_key(|entry| (entry.kind != FileKind::Directory, std::cmp::Reverse(entry.size)));
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    listing.entries = entries.into_iter().skip(skip).take(MAX_LISTED).collect();
    listing
}

fn listed(name: &[u8]) -> ListedFile {
    let name = String::from_utf8_lossy(name).into_owned();
    ListedFile { name, kind: FileKind::Directory, size: 0, files: 0, mode: 0o755, owner: (0, 0), target: None }
}

fn item(path: Vec<u8>, node: &Node) -> Item {
    let (kind, size, target) = match &node.kind {
        EntryKind::Directory => (FileKind::Directory, 0, None),
        EntryKind::File { size } => (FileKind::File, *size, None),
        EntryKind::Symlink { target } | EntryKind::HardLink { target } => (FileKind::Link, 0, Some(target.clone())),
        _ => (FileKind::Special, 0, None),
    };
    let owner = (node.uid, node.gid);
    Item { path, kind, size, mode: node.mode, owner, target, hard_link: node.hard_link, content: None }
}

fn bare(path: &[u8], kind: FileKind) -> Item {
    let (size, mode, owner) = (0, 0o755, (0, 0));
    Item { path: path.to_vec(), kind, size, mode, owner, target: None, hard_link: None, content: None }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn file(path: &str, size: u64) -> Item {
        Item { size, kind: FileKind::File, mode: 0o644, ..bare(path.as_bytes(), FileKind::File) }
    }

    #[test]
    fn a_directory_tells_the_size_of_all_below_it() {
        let two_names = |path| Item { hard_link: Some(7), ..file(path, 100) };
        let items = [
            bare(b"usr", FileKind::Directory),
            bare(b"usr/bin", FileKind::Directory),
            two_names("usr/bin/git"),
            two_names("usr/bin/git-add"),
            file("etc/passwd", 40),
            file("big", 1_000),
            bare(b"old", FileKind::Removed),
        ];
        let root = listing(&items, b"", 0);
        assert_eq!((root.size, root.files, root.total), (1_140, 4, 4));
        let told: Vec<_> = root.entries.iter().map(|entry| (entry.name.as_str(), entry.size, entry.files)).collect();
        assert_eq!(told, [("usr", 100, 2), ("etc", 40, 1), ("big", 1_000, 1), ("old", 0, 0)]);
        let below: Vec<Item> = items.iter().filter(|item| item.path.starts_with(b"usr/")).cloned().collect();
        assert_eq!(listing(&below, b"usr", 0).entries[0].name, "bin");
        assert_eq!(listing(&items, b"", 3).entries.len(), 1);
    }
}
