//! Errors between slipway and a registry, in words that users of docker know.

use crate::server_message::as_suffix;
use crate::{DigestError, Fault};
use std::fmt;
use std::time::Duration;

/// Whether the login that is configured for a registry was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It was sent.
    Sent,
    /// There is none.
    NotConfigured,
    /// The registry asked for none.
    NotAsked,
    /// The build may not use it for this image.
    NotGranted,
    /// The token server is another host that does not use https.
    OtherHost,
}

/// A registry said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The registry.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The operation that failed.
    pub operation: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Whether a login was sent.
    pub login: Login,
    /// The registry's own words.
    pub said: String,
}

impl Refusal {
    pub(crate) fn remedy(&self) -> String {
        let Refusal { registry, repository, .. } = self;
        match self.login {
            Login::Sent => format!("the login for {registry} was sent: check it, and what it is allowed"),
            Login::NotConfigured => format!(
                "no login was sent, because none is configured: `[registries.\"{registry}\"]` of the server, or `slipway login {registry}`"
            ),
            Login::NotAsked => format!("no login was sent, because {registry} asked for none"),
            Login::NotGranted => format!(
                "no login was sent, because this build may not use it: the operator names `{registry}/{repository}` in `may_read` of the repository or in `registries.\"{registry}\".read`"
            ),
            Login::OtherHost => {
                format!("no login was sent, because the token server of {registry} is another host without https")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { registry, repository, operation, status, said: words, .. } = self;
        if words.is_empty() {
            let usual = "denied, repository does not exist or may require a login";
            write!(formatter, "access to `{registry}/{repository}` {usual} ({operation}: {status}); {}", self.remedy())
        } else {
            write!(formatter, "{registry} denied {operation} in `{repository}` ({status}): {words}; {}", self.remedy())
        }
    }
}

/// Errors of requests to registries.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry wants other credentials.
    #[error("{0}")]
    Denied(Box<Refusal>),
    /// The build may not read the image, whatever the registry would say.
    #[error(
        "`{0}` is not an image that this build may read: it reads its own, and those that the operator names in `may_read` of the repository or in `server.shared_images`"
    )]
    NotReadable(String),
    /// The manifest or blob is not there.
    #[error("{0}")]
    NotFound(String),
    /// The registry answered with an error.
    #[error("{registry} answered {status}{}{asked}", as_suffix(.message))]
    Status {
        /// The registry.
        registry: String,
        /// HTTP status.
        status: u16,
        /// The operation, and the registry's message.
        message: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
        /// Whether a login was sent, and the remedy.
        asked: String,
    },
    /// The token server of a registry could not be asked, or is busy.
    #[error("the token server `{host}` of {registry} {problem}{asked}")]
    TokenServer {
        /// The registry.
        registry: String,
        /// The token server.
        host: String,
        /// The problem.
        problem: String,
        /// The request, whether a login was sent, and the remedy.
        asked: String,
    },
    /// The registry could not be reached, or the connection broke.
    #[error("{registry} cannot be reached{asked}")]
    Transport {
        /// The registry.
        registry: String,
        /// The error of the connection.
        #[source]
        cause: reqwest::Error,
        /// The request, whether a login was sent, and the remedy.
        asked: String,
    },
    /// The registry does not speak as it is spoken to.
    #[error("{registry} {problem}{asked}")]
    Speech {
        /// The registry.
        registry: String,
        /// The protocol that was spoken, the answer, and the setting that changes it.
        problem: String,
        /// The request, and whether a login was sent.
        asked: String,
    },
    /// The registry did not do what the protocol says; another try may go better.
    #[error("{registry} broke off: {problem}{asked}")]
    Broken {
        /// The registry.
        registry: String,
        /// The violation.
        problem: &'static str,
        /// The request, whether a login was sent, and the remedy.
        asked: String,
    },
    /// The bytes are not those that the digest promises.
    #[error("digest mismatch: {0} was expected, other bytes came")]
    DigestMismatch(String),
    /// A download is larger than it may be, or leads to where it may not.
    #[error("{0}")]
    NotAllowed(String),
    /// A document is malformed, ambiguous or too large.
    #[error("invalid document from {registry}: {problem}{asked}")]
    InvalidDocument {
        /// The registry.
        registry: String,
        /// The problem.
        problem: String,
        /// The request, whether a login was sent, and the remedy.
        asked: String,
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
    /// The certificates for a registry cannot be used.
    #[error("registry `{registry}`: its certificate or key is not PEM that can be used")]
    Certificate {
        /// The registry.
        registry: String,
        /// The problem with it.
        #[source]
        cause: crate::certificate::CertificateError,
    },
}

impl Error {
    /// Returns whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Transport { .. } | Error::Broken { .. } => true,
            Error::Status { status, .. } => *status == 408 || *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Returns who is to blame.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Denied(_)
            | Error::NotReadable(_)
            | Error::NotFound(_)
            | Error::NoPlatform(_)
            | Error::NotAllowed(_)
            | Error::Speech { .. }
            | Error::InvalidDocument { .. } => Fault::User,
            Error::Status { status, .. } if *status < 500 && *status != 429 && *status != 408 => Fault::User,
            Error::Status { .. }
            | Error::TokenServer { .. }
            | Error::Transport { .. }
            | Error::Broken { .. }
            | Error::DigestMismatch(_) => Fault::Upstream,
            Error::Local(_) | Error::Setup(_) | Error::Certificate { .. } => Fault::Service,
        }
    }

    /// Returns the same error for another one who waited for the same.
    #[must_use]
    pub fn again(&self) -> Self {
        let asked = String::new();
        match self {
            Error::Denied(refusal) => Error::Denied(refusal.clone()),
            Error::NotReadable(image) => Error::NotReadable(image.clone()),
            Error::NotFound(text) => Error::NotFound(text.clone()),
            Error::DigestMismatch(digest) => Error::DigestMismatch(digest.clone()),
            Error::NotAllowed(text) => Error::NotAllowed(text.clone()),
            Error::NoPlatform(platform) => Error::NoPlatform(platform.clone()),
            Error::Status { registry, status, message, retry_after, asked } => {
                let (registry, message, asked) = (registry.clone(), message.clone(), asked.clone());
                Error::Status { registry, status: *status, message, retry_after: *retry_after, asked }
            }
            Error::TokenServer { registry, host, problem, asked } => {
                let (registry, host) = (registry.clone(), host.clone());
                Error::TokenServer { registry, host, problem: problem.clone(), asked: asked.clone() }
            }
            Error::Transport { registry, .. } => Error::broken(registry, "the connection broke, or there was none"),
            Error::Broken { registry, problem, asked } => {
                Error::Broken { registry: registry.clone(), problem, asked: asked.clone() }
            }
            Error::Speech { registry, problem, .. } => {
                Error::Speech { registry: registry.clone(), problem: problem.clone(), asked }
            }
            Error::InvalidDocument { registry, problem, .. } => Error::document(registry, problem.clone()),
            Error::Local(_) | Error::Setup(_) | Error::Certificate { .. } => {
                Error::Local(std::io::Error::other(report(self)))
            }
        }
    }

    pub(crate) fn broken(registry: &str, problem: &'static str) -> Self {
        Error::Broken { registry: registry.to_owned(), problem, asked: String::new() }
    }

    pub(crate) fn document(registry: &str, problem: impl Into<String>) -> Self {
        Error::InvalidDocument { registry: registry.to_owned(), problem: problem.into(), asked: String::new() }
    }
}

/// Returns an error with its causes in one line.
pub fn report(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<DigestError> for Error {
    fn from(error: DigestError) -> Self {
        Error::document("the registry", error.to_string())
    }
}
