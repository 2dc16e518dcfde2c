//! Places the inputs of a copy: they are laid over the destination's tree, and the changes become the layer's entries.

use super::destination::Destination;
use super::entry::{Content, LayerEntry};
use super::error::CopyError;
use super::input::CopyInput;
use super::layer::Layer;
use super::owner::Owner;
use super::request::CopyRequest;
use super::select::CopySource;
use files::path::{clean_path, join, parent};
use files::tar::Entry;
use files::view::{EntryKind, Node};

/// Returns the entries that `inputs`, one after the other, become on `destination`; directories before what is in them.
pub fn plan_copy(
    destination: Destination<'_>,
    inputs: &[CopyInput<'_>],
    request: &CopyRequest,
) -> Result<Vec<LayerEntry>, CopyError> {
    let mut layer = Layer::new(destination, request);
    let to = Target::of(request);
    for (number, input) in inputs.iter().enumerate() {
        match input {
            CopyInput::Files(place, selection) => {
                let from = From { input: number, place: *place, selection };
                copy(&mut layer, &from, &to)?;
            }
            CopyInput::Archive(archive) => archive.lay(&mut layer, number, &to.path)?,
        }
    }
    for (name, content) in &request.inline {
        inline(&mut layer, name, content, &to)?;
    }
    Ok(layer.finish())
}

/// Returns the directories that a `WORKDIR` has to make on `destination`, for `owner`.
pub fn plan_workdir(destination: Destination<'_>, path: &str, owner: Owner, now: i64) -> Result<Vec<Entry>, CopyError> {
    let request = CopyRequest { chown: Some(owner), ..CopyRequest::to(path, now) };
    let mut layer = Layer::new(destination, &request);
    let path = layer.resolve(&clean_path(path.as_bytes()))?;
    layer.make_directory(&path)?;
    Ok(layer.finish().into_iter().map(|planned| planned.entry).collect())
}

/// Where an instruction copies to.
struct Target {
    /// The path, without links followed.
    path: Vec<u8>,
    /// Whether it is meant as a directory.
    is_directory: bool,
}

impl Target {
    fn of(request: &CopyRequest) -> Target {
        let written = request.destination.as_str();
        let is_directory = written.is_empty() || written == "." || written.ends_with('/') || written.ends_with("/.");
        let whole =
            if written.starts_with('/') { written.to_owned() } else { format!("{}/{written}", request.workdir) };
        Target { path: clean_path(whole.as_bytes()), is_directory }
    }
}

/// A source of a copy that is files.
struct From<'s> {
    /// Its number among the inputs: hard links are kept within one input.
    input: usize,
    /// The number of the place it is in.
    place: usize,
    selection: &'s CopySource,
}

fn copy(layer: &mut Layer<'_>, from: &From<'_>, to: &Target) -> Result<(), CopyError> {
    let selection = from.selection;
    let root = layer.resolve(&to.path)?;
    if selection.excluded {
        return layer.make_directory(&root);
    }
    if let Some(base) = &selection.base {
        return copy_with_parents(layer, from, base, &root);
    }
    if selection.node.kind == EntryKind::Directory {
        if !layer.is_directory(&root) {
            layer.refuse_other_than_directory(&root)?;
            layer.make_directory(&root)?;
        }
        copy_items(layer, from, &root)?;
        layer.set_time(&root, selection.node.mtime);
        return Ok(());
    }
    let path = if to.is_directory || layer.is_directory(&root) { join(&root, &selection.name) } else { root };
    layer.make_directory(parent(&path))?;
    copy_file(layer, from, &path)
}

fn copy_file(layer: &mut Layer<'_>, from: &From<'_>, path: &[u8]) -> Result<(), CopyError> {
    let content = Content::Source { place: from.place, path: from.selection.path.clone() };
    layer.put_file(path, &from.selection.node, content, from.input)?;
    layer.touch(parent(path));
    Ok(())
}

/// Copies a source with the directories above it, below the pivot, as `--parents` does.
fn copy_with_parents(layer: &mut Layer<'_>, from: &From<'_>, base: &Node, root: &[u8]) -> Result<(), CopyError> {
    let selection = from.selection;
    layer.make_directory(root)?;
    let mut last = root.to_vec();
    for (path, node) in &selection.parents {
        last = layer.resolve(&join(root, path))?;
        layer.put_parent(&last, node)?;
    }
    let path = join(&last, &selection.name);
    if selection.node.kind == EntryKind::Directory {
        let path = layer.resolve(&path)?;
        layer.put_parent(&path, &selection.node)?;
        copy_items(layer, from, &path)?;
        layer.set_time(&path, selection.node.mtime);
    } else {
        copy_file(layer, from, &path)?;
    }
    layer.set_time(root, base.mtime);
    Ok(())
}

/// Copies what is in a directory.
fn copy_items(layer: &mut Layer<'_>, from: &From<'_>, to: &[u8]) -> Result<(), CopyError> {
    for item in &from.selection.items {
        layer.check()?;
        let path = join(to, &item.path);
        if item.node.kind == EntryKind::Directory {
            layer.put_directory(&path, &item.node)?;
        } else {
            let content = Content::Source { place: from.place, path: join(&from.selection.path, &item.path) };
            layer.put_file(&path, &item.node, content, from.input)?;
        }
    }
    Ok(())
}

fn inline(layer: &mut Layer<'_>, name: &str, content: &[u8], to: &Target) -> Result<(), CopyError> {
    let root = layer.resolve(&to.path)?;
    let path = if to.is_directory || layer.is_directory(&root) { join(&root, name.as_bytes()) } else { root };
    layer.make_directory(parent(&path))?;
    let kind = EntryKind::File { size: content.len() as u64 };
    let mtime = layer.now();
    let node = Node { kind, mode: 0o644, uid: 0, gid: 0, mtime, xattrs: Vec::new(), hard_link: None };
    layer.put_file(&path, &node, Content::Inline(content.to_vec()), usize::MAX)?;
    layer.touch(parent(&path));
    Ok(())
}
