//! The layer that a copy makes, while it is made: what each path is now, and which paths the layer has to name.

use super::chmod::Chmod;
use super::destination::Destination;
use super::entry::{Content, LayerEntry};
use super::error::{CopyError, shown};
use super::owner::Owner;
use super::request::CopyRequest;
use files::path::parent;
use files::tar::{Entry, EntryKind};
use files::tree::{WalkPath, resolve_in};
use files::view::{Node, View};
use std::collections::{BTreeMap, HashMap};

/// A path of the layer that is being made.
#[derive(Debug, Clone)]
struct Made {
    node: Node,
    content: Content,
    /// Names with the same value here are one file.
    group: Option<(usize, u64)>,
    /// Whether nothing but the time of a directory changed: that alone is not a reason to name it.
    only_time: bool,
}

/// The changes of a copy on top of a tree.
pub(super) struct Layer<'t> {
    destination: Destination<'t>,
    request: &'t CopyRequest,
    /// The change of modes; `None` while an archive is extracted.
    chmod: Option<&'t Chmod>,
    made: BTreeMap<WalkPath, Made>,
}

impl<'t> Layer<'t> {
    pub(super) fn new(destination: Destination<'t>, request: &'t CopyRequest) -> Self {
        Layer { destination, request, chmod: request.chmod.as_ref(), made: BTreeMap::new() }
    }

    pub(super) fn now(&self) -> i64 {
        self.request.now
    }

    /// Returns what `path` is now.
    pub(super) fn node(&self, path: &[u8]) -> Option<Node> {
        if let Some(made) = self.made.get(&WalkPath(path.to_vec())) {
            return Some(made.node.clone());
        }
        self.destination.tree.lookup(path).ok().flatten()
    }

    /// Follows the links of `path` as things are now.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, CopyError> {
        Ok(resolve_in(path, |path| self.node(path))?)
    }

    pub(super) fn is_directory(&self, path: &[u8]) -> bool {
        path.is_empty() || self.node(path).is_some_and(|node| node.kind == EntryKind::Directory)
    }

    pub(super) fn refuse_other_than_directory(&self, path: &[u8]) -> Result<(), CopyError> {
        match self.node(path) {
            Some(node) if node.kind != EntryKind::Directory => Err(CopyError::DirectoryOverFile(shown(path))),
            _ => Ok(()),
        }
    }

    /// Makes `path` and what is missing above it.
    pub(super) fn make_directory(&mut self, path: &[u8]) -> Result<(), CopyError> {
        let ends = (0..path.len()).filter(|&at| path[at] == b'/').chain((!path.is_empty()).then_some(path.len()));
        for end in ends {
            let directory = &path[..end];
            match self.node(directory) {
                Some(node) if node.kind == EntryKind::Directory => {}
                Some(_) => return Err(CopyError::DirectoryOverFile(shown(directory))),
                None => {
                    self.put(directory, self.new_directory(), Content::None, None)?;
                    self.touch(parent(directory));
                }
            }
        }
        Ok(())
    }

    fn new_directory(&self) -> Node {
        let Owner { uid, gid } = self.request.chown.unwrap_or_default();
        let mode = self.chmod.map_or(0o755, Chmod::for_new_directory);
        let (kind, mtime) = (EntryKind::Directory, self.request.now);
        Node { kind, mode, uid, gid, mtime, xattrs: Vec::new(), hard_link: None }
    }

    fn put(&mut self, path: &[u8], node: Node, content: Content, group: Option<(usize, u64)>) -> Result<(), CopyError> {
        self.destination.walk.place(path, &node)?;
        self.made.insert(WalkPath(path.to_vec()), Made { node, content, group, only_time: false });
        Ok(())
    }

    /// Fails once the build is cancelled.
    pub(super) fn check(&self) -> Result<(), CopyError> {
        Ok(self.destination.walk.check()?)
    }

    /// Gives a directory the time that a change of its names gives it.
    pub(super) fn touch(&mut self, directory: &[u8]) {
        self.set_time(directory, self.request.now);
    }

    /// Gives a directory a time.
    pub(super) fn set_time(&mut self, directory: &[u8], mtime: i64) {
        if directory.is_empty() {
            return;
        }
        let path = WalkPath(directory.to_vec());
        if let Some(made) = self.made.get_mut(&path) {
            made.node.mtime = mtime;
        } else if let Some(node) = self.node(directory) {
            let node = Node { mtime, ..node };
            self.made.insert(path, Made { node, content: Content::None, group: None, only_time: true });
        }
    }

    /// Lays a directory over what is there; one that is there takes the metadata of the new one.
    pub(super) fn put_directory(&mut self, path: &[u8], node: &Node) -> Result<(), CopyError> {
        self.refuse_other_than_directory(path)?;
        let node = self.changed(node);
        match self.node(path) {
            Some(known) if same_but_time(&known, &node) => self.set_time(path, node.mtime),
            _ => self.put(path, node, Content::None, None)?,
        }
        Ok(())
    }

    /// Makes a directory above a copied file as it is in the source; one that is there only takes the mode.
    pub(super) fn put_parent(&mut self, path: &[u8], node: &Node) -> Result<(), CopyError> {
        self.refuse_other_than_directory(path)?;
        match self.node(path) {
            Some(known) if known.mode == node.mode => {}
            Some(known) => self.put(path, Node { mode: node.mode, ..known }, Content::None, None)?,
            None => {
                self.put(path, self.changed(node), Content::None, None)?;
                self.touch(parent(path));
            }
        }
        Ok(())
    }

    /// Puts a file in place of another one or of nothing.
    pub(super) fn put_file(
        &mut self,
        path: &[u8],
        node: &Node,
        content: Content,
        number: usize,
    ) -> Result<(), CopyError> {
        let known = self.node(path);
        if known.as_ref().is_some_and(|known| known.kind == EntryKind::Directory) {
            return Err(CopyError::FileOverDirectory(shown(path)));
        }
        let group = node.hard_link.map(|link| (number, link));
        let content = if matches!(node.kind, EntryKind::File { .. }) { content } else { Content::None };
        let node = self.changed(node);
        let unchanged = known.is_some_and(|known| group.is_none() && self.is_same(&known, &node, path, &content));
        if !unchanged {
            self.put(path, node, content, group)?;
        }
        Ok(())
    }

    /// Tells whether a file takes its own place: then nothing changes.
    fn is_same(&self, known: &Node, node: &Node, path: &[u8], content: &Content) -> bool {
        if known != node || self.made.contains_key(&WalkPath(path.to_vec())) {
            return false;
        }
        match (&node.kind, content) {
            (EntryKind::File { size: 0 }, _) => true,
            (EntryKind::File { .. }, Content::Source { place, path: source }) => {
                (self.destination.same)(*place, source, path)
            }
            (EntryKind::File { .. }, _) => false,
            _ => true,
        }
    }

    /// Puts an entry of an archive in place of whatever is there; a directory keeps what is in it.
    pub(super) fn put_archived(
        &mut self,
        path: &[u8],
        node: Node,
        content: Content,
        group: Option<(usize, u64)>,
    ) -> Result<(), CopyError> {
        if self.is_directory(path) && node.kind != EntryKind::Directory {
            let start = [path, b"/"].concat();
            // In the order of a walk, what is below a directory follows it.
            let below = self.made.range(WalkPath(start.clone())..).map(|(path, _)| path);
            let below: Vec<_> = below.take_while(|path| path.0.starts_with(&start)).cloned().collect();
            below.iter().for_each(|path| drop(self.made.remove(path)));
        }
        self.put(path, node, content, group)?;
        self.touch(parent(path));
        Ok(())
    }

    /// Does something without `--chmod`.
    pub(super) fn without_chmod<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let chmod = self.chmod.take();
        let result = act(self);
        self.chmod = chmod;
        result
    }

    /// Applies `--chown` and `--chmod`.
    pub(super) fn changed(&self, node: &Node) -> Node {
        let mut node = node.clone();
        node.hard_link = None;
        if let Some(owner) = self.request.chown {
            (node.uid, node.gid) = (owner.uid, owner.gid);
        }
        if let Some(chmod) = self.chmod
            && !matches!(node.kind, EntryKind::Symlink { .. })
        {
            node.mode = chmod.apply(node.mode, node.kind == EntryKind::Directory);
        }
        if node.kind == EntryKind::Socket {
            node.kind = EntryKind::File { size: 0 };
        }
        node
    }

    /// Returns the entries: whatever was made, and the directories above it as they are.
    pub(super) fn finish(mut self) -> Vec<LayerEntry> {
        let named: Vec<_> =
            self.made.iter().filter(|(_, made)| !made.only_time).map(|(path, _)| path.0.clone()).collect();
        let mut last: &[u8] = b"";
        for path in &named {
            let directory = parent(path);
            // Siblings have the same parents.
            if directory != last {
                self.name_parents(path);
                last = directory;
            }
        }
        let mut first_names: HashMap<(usize, u64), Vec<u8>> = HashMap::new();
        let named = self.made.into_iter().filter(|(_, made)| !made.only_time);
        named.map(|(path, made)| planned(path.0, made, &mut first_names)).collect()
    }

    /// Makes the layer name all directories above `path`.
    fn name_parents(&mut self, path: &[u8]) {
        for end in (0..path.len()).filter(|&at| path[at] == b'/') {
            let directory = WalkPath(path[..end].to_vec());
            if let Some(made) = self.made.get_mut(&directory) {
                made.only_time = false;
            } else if let Some(node) = self.node(&directory.0) {
                self.made.insert(directory, Made { node, content: Content::None, group: None, only_time: false });
            }
        }
    }
}

fn planned(path: Vec<u8>, made: Made, first_names: &mut HashMap<(usize, u64), Vec<u8>>) -> LayerEntry {
    let Made { node, content, group, .. } = made;
    let link = group.and_then(|group| match first_names.get(&group) {
        Some(first) => Some(first.clone()),
        None => {
            first_names.insert(group, path.clone());
            None
        }
    });
    let (kind, content) = match (link, node.kind) {
        (Some(target), EntryKind::File { .. }) => (EntryKind::HardLink { target }, Content::None),
        // A layer cannot hold a socket.
        (_, EntryKind::Socket) => (EntryKind::File { size: 0 }, Content::None),
        (_, kind) => (kind, content),
    };
    // An empty file needs no content, wherever it comes from.
    let content = if kind == (EntryKind::File { size: 0 }) { Content::None } else { content };
    let xattrs = node.xattrs.into_iter().filter(|(name, _)| name == b"security.capability").collect();
    let entry = Entry { path, kind, mode: node.mode, uid: node.uid, gid: node.gid, mtime: node.mtime, xattrs };
    LayerEntry { entry, content }
}

fn same_but_time(one: &Node, other: &Node) -> bool {
    (one.mode, one.uid, one.gid, &one.xattrs) == (other.mode, other.uid, other.gid, &other.xattrs)
}
