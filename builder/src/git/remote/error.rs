//! Why a server was of no use.

use crate::git::ssh::SshFailure;

/// Characters that are shown of what a server says.
const SHOWN: usize = 300;

/// Why a server was of no use.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It could not be reached, or may not be.
    #[error(transparent)]
    Web(Box<registry_client::Error>),
    /// It wants a login, or another one than it was shown.
    #[error("{}", if *shown { "the login is refused" } else { "a login is asked for" })]
    Denied {
        /// Whether it was shown one.
        shown: bool,
    },
    /// The repository is of a kind that is not read.
    #[error("{0}")]
    Unsupported(&'static str),
    /// It does not know the repository.
    #[error("there is no such repository")]
    NotFound,
    /// It answered with another status.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// It said why it does not do what was asked.
    #[error("the server says: {0}")]
    Refused(String),
    /// It did not do what the protocol says.
    #[error("the server breaks the protocol: {0}")]
    Malformed(&'static str),
    /// It sends messages instead of a pack.
    #[error("the server says too much instead of sending")]
    TooTalkative,
    /// A session over ssh did not begin.
    #[error("{}", said_by_ssh(.0))]
    Ssh(SshFailure),
    /// The pack could not be passed on.
    #[error("passing the pack on")]
    Sink(#[source] std::io::Error),
}

impl From<registry_client::Error> for RemoteError {
    fn from(error: registry_client::Error) -> Self {
        RemoteError::Web(Box::new(error))
    }
}

fn said_by_ssh(failure: &SshFailure) -> String {
    match failure {
        SshFailure::HostKey { found, .. } => format!("the host's key {found} is not one that is trusted"),
        SshFailure::Denied { .. } => "the server does not let the key in".to_owned(),
        SshFailure::NotFound => "there is no such repository".to_owned(),
        SshFailure::Other(said) => dockerfile::printable(&said.chars().take(SHOWN).collect::<String>()),
    }
}

impl RemoteError {
    /// Returns whether the server may only not have understood.
    pub(super) fn may_be_dialect(&self) -> bool {
        matches!(self, RemoteError::NotFound | RemoteError::Status(_))
            || matches!(self, RemoteError::Refused(_) | RemoteError::Malformed(_))
    }
}

/// The error of a repository whose objects are named by SHA-256.
pub(crate) const SHA256: &str = "its objects are named by SHA-256, and only repositories with SHA-1 are read";

/// Returns what a server said, so that it can be shown.
pub(super) fn said(text: &[u8]) -> RemoteError {
    let text: String = String::from_utf8_lossy(text).trim().chars().take(SHOWN).collect();
    RemoteError::Refused(dockerfile::printable(&text))
}
