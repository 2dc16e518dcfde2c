//! The outputs that a requester can ask for: formats and destinations.

use std::path::PathBuf;

/// The format of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OCI image layout.
    Oci,
    /// An archive for `docker load`.
    Docker,
    /// The image's files.
    Files,
}

/// The destination of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// One tar, to standard output.
    Stdout,
    /// One tar, to a file.
    File(PathBuf),
    /// Files in a directory.
    Directory(PathBuf),
}

/// An output that the requester asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The format.
    pub format: Format,
    /// The destination.
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
