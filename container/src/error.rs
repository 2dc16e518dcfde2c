//! Failures of image and container commands, in the words that users of docker know.

use registry_client::Platform;
use std::io;
use std::path::Path;

/// A command on images or containers could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image or container is not there.
    #[error("{0}")]
    NotFound(String),
    /// The request contradicts the state of an image or container.
    #[error("{0}")]
    Conflict(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The container with this id runs, or is about to.
    #[error("container {0} is running")]
    Busy(String),
    /// The content store failed.
    #[error(transparent)]
    Store(#[from] image_store::Error),
    /// A registry failed or refused.
    #[error(transparent)]
    Registry(#[from] registry_client::Error),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] runtime::Error),
    /// The file system refused.
    #[error("{doing} `{path}`")]
    File {
        /// The operation.
        doing: &'static str,
        /// The file.
        path: String,
        /// The reason.
        #[source]
        cause: io::Error,
    },
    /// A document is damaged.
    #[error("{0} is damaged")]
    Damaged(String),
}

/// Returns an error with all its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Error {
    /// Returns the stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Error::NotFound(_) => "not_found",
            Error::Conflict(_) | Error::Busy(_) => "conflict",
            Error::Invalid(_) => "invalid_argument",
            Error::Store(_) => "store",
            Error::Registry(_) => "registry",
            Error::Sandbox(_) => "sandbox",
            Error::File { .. } => "file",
            Error::Damaged(_) => "damaged",
        }
    }

    /// Says that no image has this name or id; a name is completed as docker does.
    pub fn no_image(text: &str) -> Error {
        let complete = match text.rsplit_once('/').map_or(text, |(_, last)| last) {
            last if last.contains([':', '@']) || text.starts_with("sha256:") => text.to_owned(),
            _ => format!("{text}:latest"),
        };
        Error::NotFound(format!("No such image: {complete}"))
    }

    /// Says that an image is for another platform than the one that was asked for.
    pub fn other_platform(text: &str, wanted: &Platform, found: &Platform) -> Error {
        Error::NotFound(format!(
            "image with reference {text} was found but does not match the specified platform: wanted {wanted}, actual: {found}"
        ))
    }

    /// Says that no container has this name or id.
    pub fn no_container(text: &str) -> Error {
        Error::NotFound(format!("No such container: {text}"))
    }

    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.display().to_string();
        move |cause| Error::File { doing, path, cause }
    }
}
