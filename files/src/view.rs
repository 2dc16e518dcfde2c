//! A file system as `COPY` and `ADD` see it: paths and what is known of them, never a path on this machine.
//!
//! Three things are seen this way: a commit's tree, a local directory, and the files of a stage (a stack of layer
//! indexes). Looking something up never follows a symbolic link; whoever needs that resolves it step by step within the
//! view, so a path cannot escape.

pub use crate::entry_kind::EntryKind;

use serde::{Deserialize, Serialize};

/// Identifies the content of a file: equal ids mean equal bytes, whatever view they come from.
///
/// Files of commits and local directories carry git's blob id (`git:` and the hash), files of layers that a `RUN` made or
/// that were pulled carry `b3:` and the BLAKE3 hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContentId(pub String);

/// The metadata of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The kind of file; never a hard link, which is one of several names of a file: see `hard_link`.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky (`0o7777`).
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes that count (`user.*`, `security.capability`), sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Files of one view with the same number here are names of one file; `None` for a file with one name.
    pub hard_link: Option<u64>,
}

/// A tree of files that can be looked at.
///
/// Paths are relative to the root, without leading slash, without `.` or `..`, with `/` between components; the empty
/// path is the root.
pub trait View: Sync {
    /// Returns what `path` names, or `None`; does not follow symbolic links, not even of parents.
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError>;

    /// Returns the names in the directory `path` and what they are, sorted by bytes; empty if it is not a directory.
    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError>;

    /// Returns what stands for all that is in the directory `path`, names and modes included, if that is known without
    /// looking; links are not followed.
    fn tree_id(&self, _path: &[u8]) -> Option<String> {
        None
    }

    /// Returns the id of the content of the file `path`.
    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError>;

    /// Fails once the build is cancelled; called between two paths wherever there may be many.
    fn check(&self) -> Result<(), ViewError> {
        Ok(())
    }

    /// Says that `path` is taken; fails if it is one too many.
    fn take(&self, _path: &[u8], _node: &Node) -> Result<(), ViewError> {
        Ok(())
    }
}

/// A view could not be read.
#[derive(Debug, thiserror::Error)]
#[error("reading `{path}` of {what}")]
pub struct ViewError {
    /// The view in words: the commit, the directory, the stage.
    pub what: String,
    /// The path inside it.
    pub path: String,
    /// The reason.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}
