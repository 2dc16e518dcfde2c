//! Where the files go: selections are laid over the destination's tree, and what changes becomes the layer's entries.

use super::select::Selection;
use super::{CopyError, CopyRequest};
use crate::ignore::join;
use crate::tree::{Tree, WalkPath, resolve_in};
use crate::view::{Kind, Node, View};
use runtime::tar::{Entry, EntryKind, clean_path};
use std::collections::{BTreeMap, HashMap};

/// Where the content of a planned entry comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    None,
    /// A file of the view.
    Source(Vec<u8>),
    /// These bytes.
    Inline(Vec<u8>),
    /// An entry of an archive.
    Archived {
        /// Which archive: the source's number among those of the instruction.
        archive: usize,
        /// Which entry, in the archive's order.
        member: usize,
    },
}

/// An entry of the layer with its content.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The entry.
    pub entry: Entry,
    /// Its content.
    pub content: Content,
}

/// Returns the entries that `selections` become on top of `tree`, each directory before what is in it.
pub fn plan_copy(tree: &Tree, selections: &[Selection], request: &CopyRequest) -> Result<Vec<Planned>, CopyError> {
    let mut layer = Layer::new(tree, request);
    let (destination, is_directory) = destination(request);
    for (number, selection) in selections.iter().enumerate() {
        layer.copy(number, selection, (&destination, is_directory))?;
    }
    for (name, content) in &request.inline {
        layer.inline(name, content, (&destination, is_directory))?;
    }
    Ok(layer.finish())
}

/// Returns the directories that `WORKDIR` has to make.
pub fn plan_workdir(tree: &Tree, path: &str, owner: (u32, u32), now: i64) -> Result<Vec<Entry>, CopyError> {
    let request = CopyRequest {
        sources: Vec::new(),
        inline: Vec::new(),
        destination: path.to_owned(),
        workdir: "/".to_owned(),
        chown: Some(owner),
        chmod: None,
        parents: false,
        excludes: Vec::new(),
        now,
    };
    let mut layer = Layer::new(tree, &request);
    let path = layer.resolve(&clean_path(path.as_bytes()))?;
    layer.make_directory(&path)?;
    Ok(layer.finish().into_iter().map(|planned| planned.entry).collect())
}

/// Returns the destination without links followed, and whether it is meant as a directory.
pub(super) fn destination(request: &CopyRequest) -> (Vec<u8>, bool) {
    let written = request.destination.as_str();
    let is_directory = written.is_empty() || written == "." || written.ends_with('/') || written.ends_with("/.");
    let whole = if written.starts_with('/') { written.to_owned() } else { format!("{}/{written}", request.workdir) };
    (clean_path(whole.as_bytes()), is_directory)
}

/// A path of the layer that is being made.
#[derive(Debug, Clone)]
struct Made {
    node: Node,
    content: Content,
    /// Names with the same value here are one file.
    group: Option<(usize, u64)>,
}

/// What a copy changes, on top of a tree.
pub(super) struct Layer<'t> {
    tree: &'t Tree,
    request: &'t CopyRequest,
    made: BTreeMap<WalkPath, Made>,
}

impl<'t> Layer<'t> {
    pub(super) fn new(tree: &'t Tree, request: &'t CopyRequest) -> Self {
        Layer { tree, request, made: BTreeMap::new() }
    }

    /// Returns what `path` is now.
    pub(super) fn node(&self, path: &[u8]) -> Option<Node> {
        if let Some(made) = self.made.get(&WalkPath(path.to_vec())) {
            return Some(made.node.clone());
        }
        self.tree.lookup(path).ok().flatten()
    }

    /// Follows the links of `path` as things are now.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, CopyError> {
        Ok(resolve_in(path, |path| self.node(path))?)
    }

    fn is_directory(&self, path: &[u8]) -> bool {
        path.is_empty() || self.node(path).is_some_and(|node| node.kind == Kind::Directory)
    }

    /// Makes `path` and what is missing above it.
    pub(super) fn make_directory(&mut self, path: &[u8]) -> Result<(), CopyError> {
        let ends = (0..path.len()).filter(|&at| path[at] == b'/').chain((!path.is_empty()).then_some(path.len()));
        for end in ends {
            let directory = &path[..end];
            match self.node(directory) {
                Some(node) if node.kind == Kind::Directory => {}
                Some(_) => return Err(CopyError::DirectoryOverFile(shown(directory))),
                None => self.put(directory, self.new_directory(self.request.now), Content::None, None),
            }
        }
        Ok(())
    }

    fn new_directory(&self, mtime: i64) -> Node {
        let (uid, gid) = self.request.chown.unwrap_or((0, 0));
        let mode = self.request.chmod.as_ref().map_or(0o755, super::Chmod::for_new_directory);
        Node { kind: Kind::Directory, mode, uid, gid, mtime, xattrs: Vec::new(), hard_link: None }
    }

    fn put(&mut self, path: &[u8], node: Node, content: Content, group: Option<(usize, u64)>) {
        self.made.insert(WalkPath(path.to_vec()), Made { node, content, group });
    }

    fn copy(
        &mut self,
        number: usize,
        selection: &Selection,
        (to, to_directory): (&[u8], bool),
    ) -> Result<(), CopyError> {
        let mut to = self.resolve(to)?;
        if self.request.parents {
            to = self.copy_parents(&to, selection)?;
        }
        if selection.node.kind == Kind::Directory {
            let to = if self.request.parents { self.resolve(&join(&to, &selection.name))? } else { to };
            return self.copy_directory(number, selection, &to);
        }
        let named = self.request.parents || to_directory || self.is_directory(&to);
        let path = if named { join(&to, &selection.name) } else { to };
        self.make_directory(parent(&path))?;
        self.put_file((&path, &selection.node), Content::Source(selection.path.clone()), number)
    }

    /// Makes the directories that `--parents` keeps, with the metadata they have in the source.
    fn copy_parents(&mut self, to: &[u8], selection: &Selection) -> Result<Vec<u8>, CopyError> {
        self.make_directory(to)?;
        let mut last = to.to_vec();
        for (path, node) in &selection.parents {
            last = self.resolve(&join(to, path))?;
            self.put_directory(&last, node)?;
        }
        Ok(last)
    }

    fn copy_directory(&mut self, number: usize, selection: &Selection, to: &[u8]) -> Result<(), CopyError> {
        if !self.is_directory(to) {
            if self.node(to).is_some() {
                return Err(CopyError::DirectoryOverFile(shown(to)));
            }
            self.make_directory(parent(to))?;
            // With `--parents` the directory itself is copied; without, it is only where its files go.
            let node = if self.request.parents {
                self.changed(&selection.node)
            } else {
                self.new_directory(selection.node.mtime)
            };
            self.put(to, node, Content::None, None);
        }
        for item in &selection.items {
            let path = join(to, &item.path);
            if item.node.kind == Kind::Directory {
                self.put_directory(&path, &item.node)?;
            } else {
                let source = Content::Source(join(&selection.path, &item.path));
                self.put_file((&path, &item.node), source, number)?;
            }
        }
        Ok(())
    }

    /// Lays a directory over what is there; one that is there takes the metadata of the new one.
    fn put_directory(&mut self, path: &[u8], node: &Node) -> Result<(), CopyError> {
        let node = self.changed(node);
        match self.node(path) {
            Some(known) if known.kind != Kind::Directory => return Err(CopyError::DirectoryOverFile(shown(path))),
            // Only a new time is no change, as in any other step.
            Some(known) if same_but_time(&known, &node) => {}
            _ => self.put(path, node, Content::None, None),
        }
        Ok(())
    }

    fn put_file(&mut self, (path, node): (&[u8], &Node), content: Content, number: usize) -> Result<(), CopyError> {
        if self.is_directory(path) {
            return Err(CopyError::FileOverDirectory(shown(path)));
        }
        let group = node.hard_link.map(|link| (number, link));
        let content = if matches!(node.kind, Kind::File { .. }) { content } else { Content::None };
        self.put(path, self.changed(node), content, group);
        Ok(())
    }

    fn inline(&mut self, name: &str, content: &[u8], (to, to_directory): (&[u8], bool)) -> Result<(), CopyError> {
        let to = self.resolve(to)?;
        let path = if to_directory || self.is_directory(&to) { join(&to, name.as_bytes()) } else { to };
        self.make_directory(parent(&path))?;
        let kind = Kind::File { size: content.len() as u64 };
        let mtime = self.request.now;
        let node = Node { kind, mode: 0o644, uid: 0, gid: 0, mtime, xattrs: Vec::new(), hard_link: None };
        self.put_file((&path, &node), Content::Inline(content.to_vec()), usize::MAX)
    }

    /// Puts an entry of an archive in place of whatever is there; a directory keeps what is in it.
    pub(super) fn put_archived(&mut self, path: &[u8], node: Node, content: Content, group: Option<u64>) {
        let over_directory = self.is_directory(path);
        if over_directory && node.kind != Kind::Directory {
            let path = path.to_vec();
            self.made.retain(|made, _| {
                !(made.0.len() > path.len() && made.0.starts_with(&path) && made.0[path.len()] == b'/')
            });
        }
        self.put(path, node, content, group.map(|group| (0, group)));
    }

    /// Applies `--chown` and `--chmod`.
    pub(super) fn changed(&self, node: &Node) -> Node {
        let mut node = node.clone();
        node.hard_link = None;
        if let Some((uid, gid)) = self.request.chown {
            (node.uid, node.gid) = (uid, gid);
        }
        if let Some(chmod) = &self.request.chmod
            && !matches!(node.kind, Kind::Symlink { .. })
        {
            node.mode = chmod.apply(node.mode, node.kind == Kind::Directory);
        }
        if node.kind == Kind::Socket {
            node.kind = Kind::File { size: 0 };
        }
        node
    }

    /// Returns the entries: whatever was made, and the directories above it as they are.
    pub(super) fn finish(self) -> Vec<Planned> {
        let mut all: BTreeMap<WalkPath, Made> = BTreeMap::new();
        for path in self.made.keys() {
            for end in (0..path.0.len()).filter(|&at| path.0[at] == b'/') {
                let directory = WalkPath(path.0[..end].to_vec());
                if !self.made.contains_key(&directory)
                    && !all.contains_key(&directory)
                    && let Some(node) = self.node(&directory.0)
                {
                    all.insert(directory, Made { node, content: Content::None, group: None });
                }
            }
        }
        all.extend(self.made);
        let mut first_names: HashMap<(usize, u64), Vec<u8>> = HashMap::new();
        let planned = all.into_iter().map(|(path, made)| planned(path.0, made, &mut first_names));
        planned.collect()
    }
}

fn planned(path: Vec<u8>, made: Made, first_names: &mut HashMap<(usize, u64), Vec<u8>>) -> Planned {
    let Made { node, content, group } = made;
    let link = group.and_then(|group| match first_names.get(&group) {
        Some(first) => Some(first.clone()),
        None => {
            first_names.insert(group, path.clone());
            None
        }
    });
    let (kind, content) = match (link, node.kind) {
        (Some(target), Kind::File { .. }) => (EntryKind::HardLink { target }, Content::None),
        (_, kind) => (entry_kind(kind), content),
    };
    // An empty file needs no content, wherever it comes from.
    let content = if kind == (EntryKind::File { size: 0 }) { Content::None } else { content };
    let xattrs = node.xattrs.into_iter().filter(|(name, _)| name == b"security.capability").collect();
    let entry = Entry { path, kind, mode: node.mode, uid: node.uid, gid: node.gid, mtime: node.mtime, xattrs };
    Planned { entry, content }
}

fn entry_kind(kind: Kind) -> EntryKind {
    match kind {
        Kind::File { size } => EntryKind::File { size },
        Kind::Directory => EntryKind::Directory,
        Kind::Symlink { target } => EntryKind::Symlink { target },
        Kind::Character { major, minor } => EntryKind::Character { major, minor },
        Kind::Block { major, minor } => EntryKind::Block { major, minor },
        Kind::Fifo => EntryKind::Fifo,
        Kind::Socket => EntryKind::File { size: 0 },
    }
}

fn same_but_time(one: &Node, other: &Node) -> bool {
    (one.mode, one.uid, one.gid, &one.xattrs) == (other.mode, other.uid, other.gid, &other.xattrs)
}

pub(super) fn parent(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|&byte| byte == b'/').unwrap_or(0)]
}

pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
