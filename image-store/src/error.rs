//! Errors of the store.

use registry_client::Digest;
use std::io;
use std::path::Path;

/// Something could not be read from or written to the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("{doing} `{path}`")]
    File {
        /// The operation.
        doing: &'static str,
        /// To which file.
        path: String,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// A blob is not there.
    #[error("blob {0} is not in the store")]
    Missing(Digest),
    /// Bytes are not those of their digest.
    #[error("digest mismatch: {expected} was expected, the bytes are {found}")]
    Mismatch {
        /// The digest that was expected.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// A blob is larger than its reader wants.
    #[error("blob {0} is larger than {1} bytes")]
    TooLarge(Digest, u64),
    /// A name cannot be a repository or tag.
    #[error("`{0}` is not a valid repository or tag name")]
    Name(String),
    /// A document in the store cannot be read.
    #[error("`{0}` in the store is damaged")]
    Damaged(String),
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.display().to_string();
        move |cause| Error::File { doing, path, cause }
    }
}
