//! Build contexts: the files that the requester gives, and the ignore file that hides some of them.

use super::tarball::Tarball;
use crate::git::{Checkout, CommitTree, Directory, LfsPlace, SourceError, fetch_pointed};
use files::ignore::Ignore;
use files::view::{ContentId, Node, View, ViewError};
use registry_client::Descriptor;
use std::io::Read;
use std::path::PathBuf;

/// Files that the requester gave: a commit, a directory, or nothing at all.
pub enum Context {
    /// A commit's tree.
    Commit(CommitTree),
    /// A commit's tree with its submodules.
    Checkout(Checkout),
    /// A directory of this machine.
    Directory(Directory),
    /// The files of a tar.
    Tarball(Tarball),
    /// An image; only stages start from it or copy from it.
    Image(NamedImage),
    /// No files: the Dockerfile came alone.
    Empty,
}

impl Context {
    fn view(&self) -> Option<&dyn View> {
        match self {
            Context::Commit(tree) => Some(tree),
            Context::Checkout(checkout) => Some(checkout),
            Context::Directory(directory) => Some(directory),
            Context::Tarball(tarball) => Some(tarball),
            Context::Image(_) | Context::Empty => None,
        }
    }

    /// Returns the content of the file `path`.
    pub fn open(&self, path: &[u8]) -> Result<Box<dyn Read + Send>, ViewError> {
        match self {
            Context::Commit(tree) => tree.open_file(path),
            Context::Checkout(checkout) => checkout.open_file(path),
            Context::Directory(directory) => directory.open_file(path),
            Context::Tarball(tarball) => tarball.open_file(path),
            Context::Image(_) | Context::Empty => Ok(Box::new(std::io::empty())),
        }
    }
}

impl Context {
    /// Returns the content of the file `path` for a layer; what a commit only points to is not there.
    pub fn open_whole(&self, path: &[u8]) -> Result<Box<dyn Read + Send>, ViewError> {
        let Some((tree, inner)) = self.tree_of(path) else { return self.open(path) };
        tree.open_whole(&inner)?.map_err(|pointer| ViewError {
            what: "the commit".to_owned(),
            path: String::from_utf8_lossy(path).into_owned(),
            cause: pointer.into(),
        })
    }

    /// Fetches what files of a commit only point to, and returns the size of each that does.
    pub(crate) fn fetch_pointed(&self, paths: &[Vec<u8>]) -> Result<Vec<Option<u64>>, SourceError> {
        let mut sizes = vec![None; paths.len()];
        let found = paths.iter().enumerate().filter_map(|(number, shown)| {
            let (tree, path) = self.tree_of(shown)?;
            let shown = String::from_utf8_lossy(shown).into_owned();
            Some((number, LfsPlace { shown, tree, path }))
        });
        let (numbers, places): (Vec<usize>, Vec<LfsPlace<'_>>) = found.unzip();
        for (number, size) in numbers.into_iter().zip(fetch_pointed(&places)?) {
            sizes[number] = size;
        }
        Ok(sizes)
    }

    /// Returns the tree of a commit that the file `path` is in, and its path there.
    fn tree_of(&self, path: &[u8]) -> Option<(&CommitTree, Vec<u8>)> {
        match self {
            Context::Commit(tree) => Some((tree, path.to_vec())),
            Context::Checkout(checkout) => checkout.tree_of(path),
            Context::Directory(_) | Context::Tarball(_) | Context::Image(_) | Context::Empty => None,
        }
    }

    /// Returns the commit that stands at `path` for the files of a submodule which were not fetched.
    pub fn unfetched_submodule(&self, path: &[u8]) -> Option<String> {
        match self {
            Context::Commit(tree) => tree.submodule(path),
            Context::Checkout(checkout) => checkout.unfetched_submodule(path),
            Context::Directory(_) | Context::Tarball(_) | Context::Image(_) | Context::Empty => None,
        }
    }
}

impl View for Context {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        self.view().map_or(Ok(None), |view| view.lookup(path))
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        self.view().map_or(Ok(Vec::new()), |view| view.children(path))
    }

    fn tree_id(&self, path: &[u8]) -> Option<String> {
        self.view()?.tree_id(path)
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        self.view().map_or_else(|| Ok(ContentId(String::new())), |view| view.content(path))
    }
}

/// An image that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedImage {
    /// The image of a registry.
    Reference(String),
    /// The image of a layout: its directory, and a tag or digest where it holds several.
    Layout(PathBuf, Option<String>),
    /// An image that lies in the store, whole: what was built just before.
    Stored(Descriptor),
}

/// A context with its ignore file.
pub struct NamedContext {
    /// The files.
    pub context: Context,
    /// Patterns of the files that `COPY` does not see.
    pub ignore: Ignore,
}
