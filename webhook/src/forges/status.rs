//! Commit statuses as forges take them: one implementation of [`StatusApi`] per forge.

use futures::future::BoxFuture;

/// The state of a commit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusState {
    /// The build is queued or runs.
    Pending,
    /// The commit is built, or need not be.
    Success,
    /// The commit is to blame.
    Failure,
    /// The service is to blame, or the build was cancelled.
    Error,
}

/// A status of a commit.
#[derive(Debug, Clone)]
pub struct Status<'s> {
    /// The forge's name of the repository: `owner/name`.
    pub repository: &'s str,
    /// Full hash of the commit.
    pub commit: &'s str,
    /// The state.
    pub state: StatusState,
    /// The page that the status links to.
    pub target_url: String,
    /// One line of text.
    pub description: String,
    /// Tells the statuses of one commit apart.
    pub context: String,
}

/// A status that a forge did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusError {
    /// Sending it again would get the same answer.
    Refused(String),
    /// It may be taken later.
    Unavailable(String),
}

/// The API of a forge that takes commit statuses.
pub trait StatusApi: Send + Sync {
    /// Tells whether a repository is on this forge: the forge that delivers for it decides, or else its clone URL.
    fn serves(&self, delivered_by: Option<&str>, clone_url: &str) -> bool;

    /// Sets the status of a commit.
    fn publish<'a>(&'a self, status: Status<'a>) -> BoxFuture<'a, Result<(), StatusError>>;
}
