//! Errors of copying files.

use crate::error::Code;
use crate::walk::WalkError;
use files::ignore::IgnoreError;
use files::tree::LinkLoop;
use files::view::ViewError;

/// Files cannot be copied; the user's Dockerfile or files are the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// A source is not there, or ignored.
    #[error("\"{0}\": not found")]
    NotFound(String),
    /// The directory that a pattern begins with is not there.
    #[error("`{0}`: no such file or directory")]
    NoDirectory(String),
    /// Links lead in a circle.
    #[error("`{0}`: too many levels of symbolic links")]
    LinkLoop(String),
    /// A file would take the place of a directory.
    #[error("cannot replace to directory {0} with file")]
    FileOverDirectory(String),
    /// A directory would take the place of something else.
    #[error("cannot copy to non-directory: {0}")]
    DirectoryOverFile(String),
    /// A pattern is malformed.
    #[error("`{0}`: syntax error in pattern")]
    BadPattern(String),
    /// `--chmod` cannot be read.
    #[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
    BadChmod(String),
    /// `--chown` names accounts but the image has none.
    #[error("looking up `{0}`: the image has no /etc/passwd (invalid user index: -1)")]
    NoAccounts(String),
    /// `--chown` names nobody that can be found.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    UnknownUser(String),
    /// `--chown` has a number that is not an id.
    #[error("invalid chown parameter: `{0}` is not an id of a user or group: one between 0 and 4294967294 is expected")]
    BadId(String),
    /// `--exclude` cannot be read.
    #[error("--exclude: {0}")]
    BadExclude(#[from] IgnoreError),
    /// The source could not be read.
    #[error("reading the files to copy: {0}")]
    View(String),
    /// There are more paths than may be walked through, or the build was cancelled.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// More is copied than a layer may hold.
    #[error("`{name}` has {bytes} bytes that are copied at once; {limit} are allowed")]
    TooLarge {
        /// The source.
        name: String,
        /// Its bytes.
        bytes: u64,
        /// The most that one source may have.
        limit: u64,
    },
    /// An archive cannot be extracted.
    #[error("extracting `{name}`: {problem}")]
    Archive {
        /// The archive.
        name: String,
        /// Why not.
        problem: String,
    },
}

impl CopyError {
    /// Returns the path that is missing, if that is the error.
    pub(crate) fn missing_path(&self) -> Option<&str> {
        match self {
            CopyError::NotFound(path) | CopyError::NoDirectory(path) => Some(path),
            _ => None,
        }
    }

    /// Returns the stable code.
    pub fn code(&self) -> Code {
        match self {
            CopyError::NotFound(_) | CopyError::NoDirectory(_) => Code::FileNotFound,
            CopyError::LinkLoop(_) => Code::LinkLoop,
            CopyError::FileOverDirectory(_) | CopyError::DirectoryOverFile(_) => Code::CopyConflict,
            CopyError::BadPattern(_) | CopyError::BadExclude(_) => Code::InvalidPattern,
            CopyError::BadId(_) => Code::InvalidChown,
            CopyError::BadChmod(_) => Code::InvalidChmod,
            CopyError::NoAccounts(_) | CopyError::UnknownUser(_) => Code::UnknownUser,
            CopyError::View(_) => Code::SourceUnreadable,
            CopyError::Walk(ended) => ended.code(),
            CopyError::TooLarge { .. } => Code::LayerTooLarge,
            CopyError::Archive { .. } => Code::ArchiveInvalid,
        }
    }
}

impl From<ViewError> for CopyError {
    fn from(error: ViewError) -> Self {
        match WalkError::of(&error) {
            Some(ended) => CopyError::Walk(ended.clone()),
            None => CopyError::View(format!("{error}: {}", error.cause)),
        }
    }
}

impl From<LinkLoop> for CopyError {
    fn from(error: LinkLoop) -> Self {
        CopyError::LinkLoop(error.0)
    }
}

/// Returns a path as messages show it.
pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
