//! How far a build walks through trees of files: a few objects of git stand for more paths than any memory holds.
//!
//! One walk belongs to one instruction. Everything that it lists and takes is counted before it is kept, so that both
//! memory and time have an end, and every listing looks whether the build was cancelled.

use crate::error::Code;
use crate::semaphore::{OwnedPermit, Semaphore};
use files::view::{ContentId, EntryKind, Node, View, ViewError};
use runtime::CancellationToken;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Paths that one instruction may take unless the configuration says otherwise.
pub const MAX_PATHS: usize = 1_000_000;
/// Paths that may be listed for each one that may be taken: what is ignored is looked at, too, some of it twice.
const LISTED_PER_TAKEN: usize = 3;
/// Bytes that names and targets of links may have for each path that may be taken: three times those of real trees.
const BYTES_PER_PATH: u64 = 256;
/// Part of the limit above which an instruction waits for the others that take so much.
const LARGE_PART: usize = 8;
/// Longest path that is walked to: the kernel's own limit.
const MAX_PATH: usize = 4096;
/// Directories within directories that are walked into.
pub const MAX_DEPTH: usize = 512;

/// A walk was ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// There are more paths than it may take.
    #[error(
        "more than {0} paths would be taken at once: take less, leave out the rest with .dockerignore or --exclude, or \
         raise `limits.paths`"
    )]
    TooManyPaths(usize),
    /// More paths had to be looked at than it may look at.
    #[error(
        "more than {0} paths would have to be looked at: name directories without wildcards, exclude whole directories \
         in .dockerignore, or raise `limits.paths`"
    )]
    TooManyListed(usize),
    /// Its names are longer than all that may be kept.
    #[error("the names of its files have more than {0} bytes together: take less, or raise `limits.paths`")]
    TooManyBytes(u64),
    /// A path is longer or deeper than file systems allow.
    #[error("`{0}…` is too deep: paths of up to {MAX_PATH} bytes and {MAX_DEPTH} directories are taken")]
    TooDeep(String),
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
}

impl WalkError {
    /// Returns the stable code.
    pub fn code(&self) -> Code {
        match self {
            WalkError::TooManyPaths(_) | WalkError::TooManyListed(_) | WalkError::TooManyBytes(_) => Code::TooManyPaths,
            WalkError::TooDeep(_) => Code::PathTooLong,
            WalkError::Cancelled => Code::Cancelled,
        }
    }

    /// Returns the reason for `error`, if a walk that ended is the reason.
    pub fn of(error: &ViewError) -> Option<&WalkError> {
        error.cause.downcast_ref()
    }
}

/// Paths, and the bytes of their names.
#[derive(Debug, Default)]
struct Count {
    paths: AtomicUsize,
    bytes: AtomicU64,
}

impl Count {
    /// Adds paths and returns how many there are now, and their bytes.
    fn add(&self, paths: usize, bytes: usize) -> (usize, u64) {
        let paths = self.paths.fetch_add(paths, Ordering::Relaxed) + paths;
        (paths, self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64)
    }
}

/// The walk of one instruction, through however many trees.
pub struct Walk {
    max_paths: usize,
    cancel: CancellationToken,
    listed: Count,
    taken: Count,
    placed: Count,
    /// Semaphore of the instructions that take many paths: their memory is not needed several times at once.
    large: Option<Arc<Semaphore>>,
    permit: Mutex<Option<OwnedPermit>>,
}

impl Walk {
    /// Returns a walk that may take so many paths, and that ends with the build.
    pub fn new(max_paths: usize, cancel: &CancellationToken) -> Self {
        let (cancel, permit) = (cancel.clone(), Mutex::default());
        let (listed, taken, placed) = (Count::default(), Count::default(), Count::default());
        Walk { max_paths, cancel, listed, taken, placed, large: None, permit }
    }

    /// Makes an instruction wait for a permit of `large` before it takes many paths; the permit is held as long as the walk.
    #[must_use]
    pub fn one_at_a_time(self, large: &Arc<Semaphore>) -> Self {
        Walk { large: Some(large.clone()), ..self }
    }

    /// Fails once the build is cancelled.
    pub fn check(&self) -> Result<(), WalkError> {
        if self.cancel.is_cancelled() { Err(WalkError::Cancelled) } else { Ok(()) }
    }

    /// Counts what a directory lists.
    fn list(&self, children: &[(Vec<u8>, Node)]) -> Result<(), WalkError> {
        let limit = self.max_paths.saturating_mul(LISTED_PER_TAKEN);
        let bytes = children.iter().map(|(name, node)| name.len() + target_length(&node.kind)).sum();
        let (paths, bytes) = self.listed.add(children.len(), bytes);
        if paths > limit {
            return Err(WalkError::TooManyListed(limit));
        }
        self.check_bytes(bytes, LISTED_PER_TAKEN as u64)
    }

    /// Counts a path that is taken.
    pub fn take(&self, path: &[u8], node: &Node) -> Result<(), WalkError> {
        self.check()?;
        let (paths, bytes) = self.taken.add(1, path.len() + target_length(&node.kind));
        if paths > self.max_paths {
            return Err(WalkError::TooManyPaths(self.max_paths));
        }
        self.check_bytes(bytes, 1)?;
        if paths > self.max_paths / LARGE_PART { self.wait_for_permit() } else { Ok(()) }
    }

    /// Counts a path of the layer that is being made: what was taken, and what has to be there for it.
    pub fn place(&self, path: &[u8], node: &Node) -> Result<(), WalkError> {
        self.check()?;
        let (paths, bytes) = self.placed.add(1, path.len() + target_length(&node.kind));
        // A path may be placed a second time when its directory's time or mode is settled.
        if paths > self.max_paths.saturating_mul(2) {
            return Err(WalkError::TooManyPaths(self.max_paths));
        }
        self.check_bytes(bytes, 2)?;
        if path.len() > MAX_PATH { Err(too_deep(path)) } else { Ok(()) }
    }

    fn check_bytes(&self, bytes: u64, factor: u64) -> Result<(), WalkError> {
        let limit = (self.max_paths as u64).saturating_mul(BYTES_PER_PATH * factor);
        if bytes > limit { Err(WalkError::TooManyBytes(limit)) } else { Ok(()) }
    }

    fn wait_for_permit(&self) -> Result<(), WalkError> {
        let Some(large) = &self.large else { return Ok(()) };
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        if permit.is_none() {
            *permit = Some(large.acquire_owned(&self.cancel).ok_or(WalkError::Cancelled)?);
        }
        Ok(())
    }
}

/// Returns whether a path is one that is walked to.
pub fn is_too_deep(path: &[u8]) -> bool {
    path.len() > MAX_PATH || path.iter().filter(|&&byte| byte == b'/').count() >= MAX_DEPTH
}

fn too_deep(path: &[u8]) -> WalkError {
    WalkError::TooDeep(String::from_utf8_lossy(&path[..path.len().min(60)]).into_owned())
}

fn target_length(kind: &EntryKind) -> usize {
    match kind {
        EntryKind::Symlink { target } => target.len(),
        _ => 0,
    }
}

/// A view that counts what is listed and taken of it.
pub struct Walked<'v> {
    view: &'v dyn View,
    walk: &'v Walk,
}

impl<'v> Walked<'v> {
    /// Counts in `walk` what is listed and taken of `view`.
    pub fn new(view: &'v dyn View, walk: &'v Walk) -> Self {
        Walked { view, walk }
    }

    fn ended(&self, path: &[u8], cause: WalkError) -> ViewError {
        ViewError {
            what: "the files of an instruction".to_owned(),
            path: String::from_utf8_lossy(&path[..path.len().min(MAX_PATH)]).into_owned(),
            cause: cause.into(),
        }
    }
}

impl View for Walked<'_> {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        if path.len() > MAX_PATH {
            return Ok(None);
        }
        self.view.lookup(path)
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        self.check()?;
        if is_too_deep(path) {
            return Err(self.ended(path, too_deep(path)));
        }
        let children = self.view.children(path)?;
        self.walk.list(&children).map_err(|cause| self.ended(path, cause))?;
        Ok(children)
    }

    fn tree_id(&self, path: &[u8]) -> Option<String> {
        self.view.tree_id(path)
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        self.check()?;
        self.view.content(path)
    }

    fn check(&self) -> Result<(), ViewError> {
        self.walk.check().map_err(|cause| self.ended(b"", cause))
    }

    fn take(&self, path: &[u8], node: &Node) -> Result<(), ViewError> {
        self.walk.take(path, node).map_err(|cause| self.ended(path, cause))
    }
}

#[cfg(test)]
mod tests;
