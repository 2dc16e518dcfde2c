//! The files of an image, read once from each of its layers; nothing is unpacked on the way.

use super::source::Source;
use crate::execute::{BuildResources, Committed};
use files::path::clean_path;
use files::tar::{self, Entry, EntryKind};
use files::tree::{IndexEntry, Tree};
use files::view::{Node, View};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Takes the files of an image: first everything without content, directories before what is in them, then files, then
/// further names of files.
pub(crate) trait Sink {
    /// Takes an entry with its content.
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()>;
}

/// Writes the files of an image as one tar; those of several platforms into a directory for each.
pub(crate) fn tar(source: &Source<'_>, out: impl Write) -> io::Result<()> {
    let mut writer = tar::Writer::new(out);
    let parts = source.image.parts();
    for image in &parts {
        let prefix = (parts.len() > 1).then(|| image.platform_directory());
        if let Some(prefix) = &prefix {
            writer.bare(&directory(prefix.as_bytes()))?;
        }
        let mut sink = TarSink { writer: &mut writer, prefix: prefix.unwrap_or_default().into_bytes() };
        each(source.resources, &image.layers, &mut sink)?;
    }
    writer.finish().map(drop)
}

fn directory(path: &[u8]) -> Entry {
    let (path, kind) = (path.to_vec(), EntryKind::Directory);
    Entry { path, kind, mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}

struct TarSink<'w, W: Write> {
    writer: &'w mut tar::Writer<W>,
    prefix: Vec<u8>,
}

impl<W: Write> Sink for TarSink<'_, W> {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let mut entry = entry.clone();
        entry.path = files::path::join(&self.prefix, &entry.path);
        if let EntryKind::HardLink { target } = &mut entry.kind {
            *target = files::path::join(&self.prefix, target);
        }
        self.writer.entry(&entry, content)
    }
}

/// Gives each path of the stack of `layers` to `sink`.
pub(crate) fn each(resources: &BuildResources, layers: &[Arc<Committed>], sink: &mut dyn Sink) -> io::Result<()> {
    let mut indexes = Vec::with_capacity(layers.len());
    for layer in layers {
        indexes.push(resources.index(layer).map_err(io::Error::other)?);
    }
    let tree = Tree::new(indexes.iter().cloned().enumerate().collect());
    let mut files = Files::default();
    walk(&tree, b"", &mut files, sink)?;
    for (position, layer) in layers.iter().enumerate() {
        let mut tar = resources.tar(layer).map_err(io::Error::other)?;
        let mut reader = tar::Reader::new(&mut tar);
        let index = &indexes[position];
        let mut number = 0;
        while let Some(entry) = reader.next_entry().map_err(io::Error::other)? {
            let path = clean_path(&entry.path);
            // Of a path that the layer holds twice the last entry counts, as it does for steps.
            let path = index.path_of_content(number, &path).map(<[u8]>::to_vec);
            number += 1;
            let wanted = path.and_then(|path| match (&entry.kind, index.get(&path)) {
                (EntryKind::File { .. }, Some(IndexEntry::Node { node, .. })) => {
                    files.name(position, node.hard_link, &tree, path)
                }
                _ => None,
            });
            if let Some((path, node)) = wanted {
                sink.entry(&self::entry(path, node), &mut reader)?;
            }
        }
        // The rest says whether the bytes are those of the layer's diff id.
        io::copy(&mut tar, &mut io::sink())?;
    }
    files.links(sink)
}

/// Regular files of the tree.
#[derive(Default)]
struct Files {
    /// Those with one name: the node.
    single: HashMap<Vec<u8>, Node>,
    /// Those with several: their names, in order.
    groups: BTreeMap<u64, Vec<(Vec<u8>, Node)>>,
}

impl Files {
    /// Returns the name under which the content of an entry of layer `position` goes into the result, if it does.
    fn name(&mut self, position: usize, group: Option<u64>, tree: &Tree, path: Vec<u8>) -> Option<(Vec<u8>, Node)> {
        let Some(group) = group else {
            let here = tree.location(&path).is_some_and(|(layer, ..)| layer == position);
            return here.then(|| self.single.remove(&path)).flatten().map(|node| (path, node));
        };
        // The name that has the content may be gone while another name of the file is still there.
        self.groups.get(&Tree::group(group, position)).and_then(|names| names.first().cloned())
    }

    /// Adds the further names of files.
    fn links(&self, sink: &mut dyn Sink) -> io::Result<()> {
        for names in self.groups.values() {
            let target = &names[0].0;
            for (path, node) in &names[1..] {
                let kind = EntryKind::HardLink { target: target.clone() };
                sink.entry(&Entry { kind, ..entry(path.clone(), node.clone()) }, &mut io::empty())?;
            }
        }
        Ok(())
    }
}

/// Gives everything without content to the sink and collects the files.
fn walk(tree: &Tree, at: &[u8], files: &mut Files, sink: &mut dyn Sink) -> io::Result<()> {
    for (name, node) in tree.children(at).map_err(io::Error::other)? {
        let path = files::path::join(at, &name);
        match (&node.kind, node.hard_link) {
            (EntryKind::File { .. }, Some(group)) => files.groups.entry(group).or_default().push((path, node)),
            (EntryKind::File { .. }, None) => drop(files.single.insert(path, node)),
            (kind, _) => {
                let inside = *kind == EntryKind::Directory;
                sink.entry(&entry(path.clone(), node), &mut io::empty())?;
                if inside {
                    walk(tree, &path, files, sink)?;
                }
            }
        }
    }
    Ok(())
}

fn entry(path: Vec<u8>, node: Node) -> Entry {
    let Node { kind, mode, uid, gid, mtime, xattrs, .. } = node;
    Entry { path, kind, mode, uid, gid, mtime, xattrs }
}
