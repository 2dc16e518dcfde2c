//! Where the files go: pieces are laid over the destination's tree, and what changes becomes the layer's entries.

use super::layer::Layer;
use super::select::Selection;
use super::{Archive, CopyError, CopyRequest};
use crate::walk::Walk;
use files::path::{clean_path, join};
use files::tar::Entry;
use files::tree::Tree;
use files::view::{Kind, Node};

/// Where the content of a planned entry comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    None,
    /// A file of a view.
    Source {
        /// Which view: the place's number among those of the instruction.
        place: usize,
        /// The file's path there.
        path: Vec<u8>,
    },
    /// These bytes.
    Inline(Vec<u8>),
    /// An entry of an archive.
    Archived {
        /// Which archive: the piece's number among those of the instruction.
        archive: usize,
        /// Which entry, in the archive's order.
        member: usize,
    },
}

/// Something that is laid over the destination.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'p> {
    /// Files of the view that is the place with this number.
    Files(usize, &'p Selection),
    /// What an archive holds.
    Archive(&'p Archive),
}

/// An entry of the layer with its content.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The entry.
    pub entry: Entry,
    /// Its content.
    pub content: Content,
}

/// Tells whether the file of a place has the same content as a file of the tree, given place, path there, path here.
pub type SameContent<'s> = dyn Fn(usize, &[u8], &[u8]) -> bool + 's;

/// What a copy is planned on top of.
#[derive(Clone, Copy)]
pub struct Ground<'g> {
    /// The files that are there.
    pub tree: &'g Tree,
    /// Compares contents where everything else is equal.
    pub same: &'g SameContent<'g>,
    /// How many paths may be placed on it.
    pub walk: &'g Walk,
}

impl<'g> Ground<'g> {
    /// Returns a ground on which no two contents are known to be the same.
    pub fn new(tree: &'g Tree, walk: &'g Walk) -> Self {
        Ground { tree, same: &|_, _, _| false, walk }
    }
}

/// Returns the entries that `pieces`, one after the other, become on `ground`; directories before what is in them.
pub fn plan_copy(ground: Ground<'_>, pieces: &[Piece<'_>], request: &CopyRequest) -> Result<Vec<Planned>, CopyError> {
    let mut layer = Layer::new(ground, request);
    let to = Destination::of(request);
    for (number, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Files(place, selection) => copy(&mut layer, (number, *place), selection, &to)?,
            Piece::Archive(archive) => archive.lay(&mut layer, number, &to.path)?,
        }
    }
    for (name, content) in &request.inline {
        inline(&mut layer, name, content, &to)?;
    }
    Ok(layer.finish())
}

/// Returns the directories that `WORKDIR` has to make.
pub fn plan_workdir(
    (tree, walk): (&Tree, &Walk),
    path: &str,
    (owner, now): ((u32, u32), i64),
) -> Result<Vec<Entry>, CopyError> {
    let request = CopyRequest {
        inline: Vec::new(),
        destination: path.to_owned(),
        workdir: "/".to_owned(),
        chown: Some(owner),
        chmod: None,
        parents: false,
        excludes: Vec::new(),
        now,
    };
    let mut layer = Layer::new(Ground::new(tree, walk), &request);
    let path = layer.resolve(&clean_path(path.as_bytes()))?;
    layer.make_directory(&path)?;
    Ok(layer.finish().into_iter().map(|planned| planned.entry).collect())
}

/// Where an instruction copies to.
struct Destination {
    /// The path, without links followed.
    path: Vec<u8>,
    /// Whether it is meant as a directory.
    is_directory: bool,
}

impl Destination {
    fn of(request: &CopyRequest) -> Destination {
        let written = request.destination.as_str();
        let is_directory = written.is_empty() || written == "." || written.ends_with('/') || written.ends_with("/.");
        let whole =
            if written.starts_with('/') { written.to_owned() } else { format!("{}/{written}", request.workdir) };
        Destination { path: clean_path(whole.as_bytes()), is_directory }
    }
}

fn copy(layer: &mut Layer<'_>, from: (usize, usize), selection: &Selection, to: &Destination) -> Result<(), CopyError> {
    let root = layer.resolve(&to.path)?;
    if selection.excluded {
        return layer.make_directory(&root);
    }
    if let Some(base) = &selection.base {
        return copy_with_parents(layer, from, (selection, base), &root);
    }
    if selection.node.kind == Kind::Directory {
        if !layer.is_directory(&root) {
            layer.refuse_other_than_directory(&root)?;
            layer.make_directory(&root)?;
        }
        copy_items(layer, from, selection, &root)?;
        layer.set_time(&root, selection.node.mtime);
        return Ok(());
    }
    let path = if to.is_directory || layer.is_directory(&root) { join(&root, &selection.name) } else { root };
    layer.make_directory(parent(&path))?;
    copy_file(layer, from, selection, &path)
}

fn copy_file(
    layer: &mut Layer<'_>,
    (number, place): (usize, usize),
    selection: &Selection,
    path: &[u8],
) -> Result<(), CopyError> {
    let content = Content::Source { place, path: selection.path.clone() };
    layer.put_file((path, &selection.node), content, number)?;
    layer.touch(parent(path));
    Ok(())
}

/// Copies a source with the directories above it, below the pivot, as `--parents` does.
fn copy_with_parents(
    layer: &mut Layer<'_>,
    from: (usize, usize),
    (selection, base): (&Selection, &Node),
    root: &[u8],
) -> Result<(), CopyError> {
    layer.make_directory(root)?;
    let mut last = root.to_vec();
    for (path, node) in &selection.parents {
        last = layer.resolve(&join(root, path))?;
        layer.put_parent(&last, node)?;
    }
    let path = join(&last, &selection.name);
    if selection.node.kind == Kind::Directory {
        let path = layer.resolve(&path)?;
        layer.put_parent(&path, &selection.node)?;
        copy_items(layer, from, selection, &path)?;
        layer.set_time(&path, selection.node.mtime);
    } else {
        copy_file(layer, from, selection, &path)?;
    }
    layer.set_time(root, base.mtime);
    Ok(())
}

/// Copies what is in a directory.
fn copy_items(
    layer: &mut Layer<'_>,
    (number, place): (usize, usize),
    selection: &Selection,
    to: &[u8],
) -> Result<(), CopyError> {
    for item in &selection.items {
        layer.check()?;
        let path = join(to, &item.path);
        if item.node.kind == Kind::Directory {
            layer.put_directory(&path, &item.node)?;
        } else {
            let content = Content::Source { place, path: join(&selection.path, &item.path) };
            layer.put_file((&path, &item.node), content, number)?;
        }
    }
    Ok(())
}

fn inline(layer: &mut Layer<'_>, name: &str, content: &[u8], to: &Destination) -> Result<(), CopyError> {
    let root = layer.resolve(&to.path)?;
    let path = if to.is_directory || layer.is_directory(&root) { join(&root, name.as_bytes()) } else { root };
    layer.make_directory(parent(&path))?;
    let kind = Kind::File { size: content.len() as u64 };
    let mtime = layer.now();
    let node = Node { kind, mode: 0o644, uid: 0, gid: 0, mtime, xattrs: Vec::new(), hard_link: None };
    layer.put_file((&path, &node), Content::Inline(content.to_vec()), usize::MAX)?;
    layer.touch(parent(&path));
    Ok(())
}

pub(super) fn parent(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|&byte| byte == b'/').unwrap_or(0)]
}

pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
