//! Errors of a fetch as they cross from the process that fetched.

use super::SourceError;
use serde::{Deserialize, Serialize};

/// What a fetch can fail with, without the repository, which both sides know.
#[derive(Debug, Serialize, Deserialize)]
pub enum WireError {
    /// [`SourceError::RefNotFound`]
    RefNotFound(String),
    /// [`SourceError::CommitNotFound`]
    CommitNotFound(String),
    /// [`SourceError::Denied`]
    Denied,
    /// [`SourceError::RepositoryNotFound`]
    RepositoryNotFound,
    /// [`SourceError::TooLarge`]
    TooLarge,
    /// Everything else, as text.
    Fetch(String),
}

impl WireError {
    /// Returns what is told of `error`.
    pub fn of(error: &SourceError) -> Self {
        match error {
            SourceError::RefNotFound { wanted, .. } => WireError::RefNotFound(wanted.clone()),
            SourceError::CommitNotFound { commit, .. } => WireError::CommitNotFound(commit.clone()),
            SourceError::Denied { .. } => WireError::Denied,
            SourceError::RepositoryNotFound { .. } => WireError::RepositoryNotFound,
            SourceError::TooLarge { .. } => WireError::TooLarge,
            SourceError::Fetch { cause, .. } => WireError::Fetch(cause.message().to_owned()),
            other => {
                let cause = std::error::Error::source(other).map(|cause| format!(": {cause}")).unwrap_or_default();
                WireError::Fetch(format!("{other}{cause}"))
            }
        }
    }

    /// Returns the error, about the repository `url`.
    pub fn of_repository(self, url: String) -> SourceError {
        match self {
            WireError::RefNotFound(wanted) => SourceError::RefNotFound { url, wanted },
            WireError::CommitNotFound(commit) => SourceError::CommitNotFound { url, commit },
            WireError::Denied => SourceError::Denied { url },
            WireError::RepositoryNotFound => SourceError::RepositoryNotFound { url },
            WireError::TooLarge => SourceError::TooLarge { url },
            WireError::Fetch(text) => SourceError::Fetch { url, cause: git2::Error::from_str(&text) },
        }
    }
}
