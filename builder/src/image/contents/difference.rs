//! In what two images differ: files, packages, settings, and layers to download.

use super::items::Item;
use super::opened::Opened;
use super::{packages, settings};
use crate::Error;
use database::{FileDifference, FileFacts, FileKind, ImageDifference, ImageLayer};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

/// Files that are named.
const MAX_FILES: usize = 500;
/// Packages that are named.
const MAX_PACKAGES: usize = 2_000;
/// The bits of setuid and setgid.
const PRIVILEGED: u32 = 0o6000;

/// The files of an image by path, without directories.
type Leaves<'i> = BTreeMap<&'i [u8], &'i Item>;

/// Compares `new` with `old`.
pub(crate) fn difference(new: &Opened<'_>, old: &Opened<'_>) -> Result<ImageDifference, Error> {
    let (new_items, old_items) = (new.items(None, b"")?, old.items(None, b"")?);
    let (new_leaves, old_leaves) = (leaves(&new_items), leaves(&old_items));
    let mut difference = ImageDifference {
        platform: new.platform(),
        unpacked: (unpacked(&new_items), unpacked(&old_items)),
        settings: settings::difference(&new.settings(), &old.settings()),
        ..ImageDifference::default()
    };
    compare_layers(&new.layers(), &old.layers(), &mut difference);
    compare_files(&new_leaves, &old_leaves, &mut difference);
    let new_packages = packages::Databases::find(&new_leaves, &old_leaves);
    let old_packages = packages::Databases::find(&old_leaves, &new_leaves);
    let (new_found, old_found) = (new_packages.read(new)?, old_packages.read(old)?);
    difference.packages = packages::difference(&new_found, &old_found);
    difference.notes.extend(new_found.notes.into_iter().chain(old_found.notes));
    difference.notes.dedup();
    if difference.packages.len() > MAX_PACKAGES {
        difference
            .notes
            .push(format!("only the first {MAX_PACKAGES} of {} packages are listed", difference.packages.len()));
        difference.packages.truncate(MAX_PACKAGES);
    }
    Ok(difference)
}

fn leaves(items: &[Item]) -> Leaves<'_> {
    let is_leaf = |item: &&Item| item.kind != FileKind::Directory;
    items.iter().filter(is_leaf).map(|item| (item.path.as_slice(), item)).collect()
}

fn unpacked(items: &[Item]) -> u64 {
    let mut seen = HashSet::new();
    let counts = |item: &&Item| item.hard_link.is_none_or(|number| seen.insert(number));
    items.iter().filter(counts).map(|item| item.size).sum()
}

fn compare_layers(new: &[ImageLayer], old: &[ImageLayer], difference: &mut ImageDifference) {
    let size = |layers: &[ImageLayer]| layers.iter().map(|layer| layer.size).sum();
    difference.compressed = (size(new), size(old));
    let is_new = |layer: &&ImageLayer| !old.iter().any(|known| known.digest == layer.digest);
    difference.layers = new.iter().filter(is_new).cloned().collect();
}

fn compare_files(new: &Leaves<'_>, old: &Leaves<'_>, difference: &mut ImageDifference) {
    let (added, removed, changed) = &mut difference.counts;
    let mut files = Vec::new();
    for (path, item) in new {
        match old.get(path) {
            None => *added += 1,
            Some(other) if is_same(item, other) => continue,
            Some(_) => *changed += 1,
        }
        files.push(told(path, Some(item), old.get(path).copied()));
    }
    for (path, item) in old.iter().filter(|(path, _)| !new.contains_key(*path)) {
        *removed += 1;
        files.push(told(path, None, Some(item)));
    }
    let mode = |facts: &Option<FileFacts>| facts.map_or(0, |facts| facts.mode);
    let is_privileged = |file: &&FileDifference| (mode(&file.new) | mode(&file.old)) & PRIVILEGED != 0;
    difference.privileged = files.iter().filter(is_privileged).take(MAX_FILES).cloned().collect();
    let size = |facts: &Option<FileFacts>| facts.map_or(0, |facts| facts.size);
    // Sorting is stable: files that changed the size alike stay in the order of their paths.
    files.sort_by_key(|file| Reverse(size(&file.new).abs_diff(size(&file.old))));
    files.truncate(MAX_FILES);
    difference.files = files;
}

/// Tells whether a path means the same in both images; times do not matter.
fn is_same(one: &Item, other: &Item) -> bool {
    let facts = |item: &Item| (item.kind, item.size, item.mode, item.owner);
    facts(one) == facts(other) && one.target == other.target && one.content == other.content
}

fn told(path: &[u8], new: Option<&Item>, old: Option<&Item>) -> FileDifference {
    let facts = |item: &Item| FileFacts { size: item.size, mode: item.mode, owner: item.owner };
    FileDifference { path: String::from_utf8_lossy(path).into_owned(), new: new.map(facts), old: old.map(facts) }
}

#[cfg(test)]
mod tests {
    use super::super::items::tests::file;
    use super::*;

    #[test]
    fn files_that_changed_the_size_most_come_first() {
        let with = |item: Item, mode: u32, content: &str| Item { mode, content: Some(content.to_owned()), ..item };
        let new = [
            with(file("a", 10), 0o644, "x"),
            with(file("b", 500), 0o644, "y"),
            with(file("bin/su", 5), 0o4755, "s"),
            with(file("same", 5), 0o644, "s"),
        ];
        let old =
            [with(file("a", 10), 0o644, "z"), with(file("gone", 90), 0o644, "g"), with(file("same", 5), 0o644, "s")];
        let mut difference = ImageDifference::default();
        compare_files(&leaves(&new), &leaves(&old), &mut difference);
        assert_eq!(difference.counts, (2, 1, 1));
        let named = |files: &[FileDifference]| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        assert_eq!(named(&difference.files), ["b", "gone", "bin/su", "a"]);
        assert_eq!(named(&difference.privileged), ["bin/su"]);
    }
}
