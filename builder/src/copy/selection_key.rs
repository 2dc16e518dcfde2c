//! The key of selected files: it changes when what would be copied changes.

use super::error::CopyError;
use super::select::CopySource;
use crate::key::KeyBuilder;
use files::path::join;
use files::view::{EntryKind, Node, View};

/// Returns a key of what was selected: names relative to each source, types, modes, owners, contents; never times.
pub fn selection_key(view: &dyn View, selection: &CopySource) -> Result<String, CopyError> {
    let mut key = KeyBuilder::new("selection.2");
    key.field(&selection.name);
    if selection.excluded {
        return Ok(key.text("excluded").finish());
    }
    for (path, node) in &selection.parents {
        add(&mut key, view, path, node, b"")?;
    }
    add(&mut key, view, b"", &selection.node, &selection.path)?;
    for item in &selection.items {
        add(&mut key, view, &item.path, &item.node, &join(&selection.path, &item.path))?;
    }
    Ok(key.finish())
}

fn add(key: &mut KeyBuilder, view: &dyn View, name: &[u8], node: &Node, path: &[u8]) -> Result<(), CopyError> {
    key.field(name).text(&format!("{:o} {} {}", node.mode, node.uid, node.gid));
    match &node.kind {
        EntryKind::File { size } => key.text("file").text(&size.to_string()).text(&view.content(path)?.0),
        EntryKind::Directory => key.text("directory"),
        EntryKind::Symlink { target } => key.text("link").field(target),
        EntryKind::Character { major, minor } => key.text(&format!("character {major}:{minor}")),
        EntryKind::Block { major, minor } => key.text(&format!("block {major}:{minor}")),
        EntryKind::Fifo => key.text("fifo"),
        EntryKind::Socket => key.text("socket"),
        EntryKind::HardLink { target } => key.text("hard link").field(target),
    };
    for (name, value) in &node.xattrs {
        key.field(name).field(value);
    }
    Ok(())
}
