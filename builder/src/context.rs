//! Where a build's files come from: the context, contexts that were named, and images.

use crate::Error;
use crate::execute::Layer;
use crate::image::layout::NamedImage;
use crate::source::{Checkout, CommitTree, Directory, Tarball, refuse_pointer};
use files::ignore::Ignore;
use files::view::{ContentId, Node, View, ViewError};
use registry_client::{ImageConfig, Platform, Reference};
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, PoisonError, RwLock};

/// Files that the requester gave: a commit, a directory, or nothing at all.
pub enum Context {
    /// A commit's tree.
    Commit(CommitTree),
    /// A commit's tree with its submodules.
    Checkout(Checkout),
    /// A directory of this machine.
    Directory(Directory),
    /// What a tar holds.
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
        let content = self.open(path)?;
        if !matches!(self, Context::Commit(_) | Context::Checkout(_)) {
            return Ok(content);
        }
        let failed = |cause: Box<dyn std::error::Error + Send + Sync>| ViewError {
            what: "the commit".to_owned(),
            path: String::from_utf8_lossy(path).into_owned(),
            cause,
        };
        let content = refuse_pointer(content).map_err(|error| failed(error.into()))?;
        content.map_err(|pointer| failed(pointer.into()))
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

/// A context with its ignore file.
pub struct NamedContext {
    /// The files.
    pub context: Context,
    /// What `COPY` does not see.
    pub ignore: Ignore,
}

/// An image that a stage starts from or copies from.
#[derive(Debug, Clone)]
pub struct SourceImage {
    /// Its name as it was asked for.
    pub asked: Reference,
    /// The platform that it was asked for.
    pub platform: Platform,
    /// Its name with the digest it was resolved to.
    pub reference: Reference,
    /// What it says of itself.
    pub config: ImageConfig,
    /// Its layers, bottom first.
    pub layers: Vec<Arc<Layer>>,
    /// The cache key that steps on top of it start from.
    pub key: String,
    /// Whether it is for another platform than asked for.
    pub platform_mismatch: bool,
}

/// All the places a build takes files from.
pub struct Sources<'r> {
    /// The context.
    pub context: &'r NamedContext,
    /// Contexts by the names the requester gave them.
    pub named: &'r HashMap<String, NamedContext>,
    images: RwLock<HashMap<String, Arc<SourceImage>>>,
}

impl<'r> Sources<'r> {
    /// Returns sources without images.
    pub fn new(context: &'r NamedContext, named: &'r HashMap<String, NamedContext>) -> Self {
        Sources { context, named, images: RwLock::default() }
    }

    /// Adds an image under the name by which the plan refers to it.
    pub fn add_image(&self, name: &str, image: SourceImage) {
        self.images.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::new(image));
    }

    /// Returns the image that the plan refers to as `name`.
    pub fn image(&self, name: &str) -> Result<Arc<SourceImage>, Error> {
        let images = self.images.read().unwrap_or_else(PoisonError::into_inner);
        images.get(name).cloned().ok_or_else(|| Error::service("plan", format!("image `{name}` was not resolved")))
    }
}
