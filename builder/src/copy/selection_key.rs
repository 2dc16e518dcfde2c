//! The key of selected files: it changes when what would be copied changes.

use super::error::CopyError;
use super::select::CopySource;
use crate::key::KeyBuilder;
use files::path::join;
use files::view::{Kind, Node, View};

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
        Kind::File { size } => key.text("file").text(&size.to_string()).text(&view.content(path)?.0),
        Kind::Directory => key.text("directory"),
        Kind::Symlink { target } => key.text("link").field(target),
        Kind::Character { major, minor } => key.text(&format!("character {major}:{minor}")),
        Kind::Block { major, minor } => key.text(&format!("block {major}:{minor}")),
        Kind::Fifo => key.text("fifo"),
        Kind::Socket => key.text("socket"),
    };
    for (name, value) in &node.xattrs {
        key.field(name).field(value);
    }
    Ok(())
}
