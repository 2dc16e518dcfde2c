//! What the requester wants written, and where to.

use std::path::PathBuf;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OCI image layout.
    Oci,
    /// What `docker load` takes.
    Docker,
    /// The image's files.
    Files,
}

/// Where it is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// One tar, to standard output.
    Stdout,
    /// One tar, to a file.
    File(PathBuf),
    /// Files in a directory.
    Directory(PathBuf),
}

/// A wish of the requester.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What is written.
    pub format: Format,
    /// Where to.
    pub destination: Destination,
}

impl Destination {
    pub(super) fn shown(&self) -> String {
        match self {
            Destination::Stdout => "standard output".to_owned(),
            Destination::File(path) | Destination::Directory(path) => format!("`{}`", path.display()),
        }
    }
}
