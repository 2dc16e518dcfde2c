//! A stack of layers seen as one file system.

use super::index::{Index, IndexEntry};
use super::links::{LinkLoop, resolve_in};
use crate::view::{ContentId, EntryKind, Node, View, ViewError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stack of layers.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Topmost first.
    layers: Vec<(usize, Arc<Index>)>,
}

/// The state of a path in a stack of layers.
enum Found<'t> {
    Nothing,
    Implied,
    Node { layer: usize, node: &'t Node, content: Option<[u8; 32]> },
}

impl Tree {
    /// Returns the tree of `layers`, bottom first, each with the number under which [`Tree::location`] names it.
    pub fn new(mut layers: Vec<(usize, Arc<Index>)>) -> Self {
        layers.reverse();
        layers.retain(|(_, index)| !index.is_empty());
        Tree { layers }
    }

    /// Returns where the content of the regular file `path` is: layer, path in it, size.
    pub fn location(&self, path: &[u8]) -> Option<(usize, Vec<u8>, u64)> {
        match self.find(path) {
            Found::Node { layer, node: Node { kind: EntryKind::File { size }, .. }, .. } => {
                Some((layer, path.to_vec(), *size))
            }
            _ => None,
        }
    }

    /// Returns the number in the tree of the files that have the number `group` in layer `layer`.
    pub fn group(group: u64, layer: usize) -> u64 {
        group | (layer as u64 + 1) << 40
    }

    /// Follows all links of `path`, the last component's too; what does not exist is kept as it is written.
    pub fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, LinkLoop> {
        resolve_in(path, |path| self.node(path))
    }

    fn node(&self, path: &[u8]) -> Option<Node> {
        match self.find(path) {
            Found::Nothing => None,
            Found::Implied => Some(implied_directory()),
            Found::Node { node, layer, .. } => Some(of_layer(node, layer)),
        }
    }

    fn find(&self, path: &[u8]) -> Found<'_> {
        if path.is_empty() {
            return self.find_root();
        }
        let mut implied = false;
        for (layer, index) in &self.layers {
            match index.get(path) {
                Some(IndexEntry::Node { node, content }) => {
                    return Found::Node { layer: *layer, node, content: *content };
                }
                Some(IndexEntry::Whiteout) => break,
                Some(IndexEntry::Implied) => implied = true,
                None => {}
            }
            if index.hides(path) {
                break;
            }
        }
        if implied { Found::Implied } else { Found::Nothing }
    }

    fn find_root(&self) -> Found<'_> {
        for (layer, index) in &self.layers {
            if let Some(IndexEntry::Node { node, content }) = index.get(b"") {
                return Found::Node { layer: *layer, node, content: *content };
            }
        }
        Found::Implied
    }
}

impl View for Tree {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        Ok(self.node(path))
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        // The topmost layer that says something of a name decides; `None` stands for a name that was removed.
        let mut names: BTreeMap<Vec<u8>, Option<Node>> = BTreeMap::new();
        for (layer, index) in &self.layers {
            for (name, entry) in index.children(path) {
                let known = names.get(name);
                let node = match entry {
                    IndexEntry::Node { node, .. } => Some(of_layer(node, *layer)),
                    IndexEntry::Whiteout => None,
                    IndexEntry::Implied => Some(implied_directory()),
                };
                // A lower layer may describe a directory that an upper one only implies.
                let improves = matches!(known, Some(Some(above)) if *above == implied_directory()) && node.is_some();
                if known.is_none() || improves {
                    names.insert(name.to_vec(), node);
                }
            }
            if index.hides_below(path) {
                break;
            }
        }
        Ok(names.into_iter().filter_map(|(name, node)| Some((name, node?))).collect())
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        match self.find(path) {
            Found::Node { content: Some(hash), .. } => Ok(ContentId(format!("b3:{}", hex::encode(hash)))),
            _ => Ok(ContentId(String::new())),
        }
    }
}

/// Returns a node with its hard link's number made one of the whole tree: each layer counts its own.
fn of_layer(node: &Node, layer: usize) -> Node {
    Node { hard_link: node.hard_link.map(|number| Tree::group(number, layer)), ..node.clone() }
}

/// A directory that no layer describes: an entry below it is all that is known.
pub fn implied_directory() -> Node {
    Node { kind: EntryKind::Directory, mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new(), hard_link: None }
}
