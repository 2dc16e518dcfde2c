//! What can go wrong between slipway and a registry, in words that users of docker know.

use crate::{DigestError, Fault};

/// A registry could not be asked, or answered something else than hoped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry wants other credentials.
    #[error("access to `{0}` denied, repository does not exist or may require a login")]
    Denied(String),
    /// The manifest or blob is not there.
    #[error("`{0}` not found")]
    NotFound(String),
    /// The registry answered with an error.
    #[error("{registry} answered {status}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Status {
        /// The registry.
        registry: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The registry could not be reached, or the connection broke.
    #[error("{registry} cannot be reached")]
    Transport {
        /// The registry.
        registry: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// The registry did not do what the protocol says; another try may go better.
    #[error("{registry} broke off: {problem}")]
    Broken {
        /// The registry.
        registry: String,
        /// What it did.
        problem: &'static str,
    },
    /// The bytes are not those that the digest promises.
    #[error("digest mismatch: {0} was expected, other bytes came")]
    DigestMismatch(String),
    /// A download is larger than it may be, or leads to where it may not.
    #[error("{0}")]
    NotAllowed(String),
    /// A document is malformed, ambiguous or too large.
    #[error("invalid document from {registry}: {problem}")]
    InvalidDocument {
        /// The registry.
        registry: String,
        /// What is wrong.
        problem: String,
    },
    /// The index has nothing for the platform.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(String),
    /// A local file could not be read or written.
    #[error("local input or output")]
    Local(#[from] std::io::Error),
    /// The client could not be set up.
    #[error("setting up the HTTP client")]
    Setup(#[source] reqwest::Error),
}

impl Error {
    /// Tells whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Transport { .. } | Error::Broken { .. } => true,
            Error::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Returns who is to blame.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Denied(_)
            | Error::NotFound(_)
            | Error::NoPlatform(_)
            | Error::NotAllowed(_)
            | Error::InvalidDocument { .. } => Fault::User,
            Error::Status { status, .. } if *status < 500 && *status != 429 => Fault::User,
            Error::Status { .. } | Error::Transport { .. } | Error::Broken { .. } | Error::DigestMismatch(_) => {
                Fault::Upstream
            }
            Error::Local(_) | Error::Setup(_) => Fault::Service,
        }
    }

    pub(crate) fn broken(registry: &str, problem: &'static str) -> Self {
        Error::Broken { registry: registry.to_owned(), problem }
    }

    pub(crate) fn document(registry: &str, problem: impl Into<String>) -> Self {
        Error::InvalidDocument { registry: registry.to_owned(), problem: problem.into() }
    }
}

impl From<DigestError> for Error {
    fn from(error: DigestError) -> Self {
        Error::document("the registry", error.to_string())
    }
}
