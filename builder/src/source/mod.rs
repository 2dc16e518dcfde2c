//! Where commits and directories come from: bare mirrors, trees read without a checkout, local directories.

mod changes;
mod checkout;
mod commit;
mod directory;
mod fetch;
mod find;
mod gitdir;
mod leftovers;
mod lfs;
mod mirror;
mod modules;
mod remote;
mod tarball;
mod unpack;
mod url;
mod usage;

pub use changes::{Change, MAX_CHANGES};
pub use checkout::{Checkout, Fetching};
pub use commit::CommitTree;
pub(crate) use commit::is_refused;
pub use directory::Directory;
pub use find::{find_dockerfile, find_ignore, parse_ignore, unusable};
pub use lfs::Pointer;
pub(crate) use lfs::refuse_pointer;
pub use mirror::{CommitId, FetchSettings, Mirror, Wanted};
pub use registry_client::without_credentials;
use remote::Remote;
pub use remote::{Announced, RemoteError};
pub use tarball::Tarball;
pub use unpack::enter_if_asked;
pub use url::GitContext;
pub use usage::{remove_last, remove_unused};

/// A source could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The URL is none that is fetched from.
    #[error("`{url}`: {problem}")]
    Url {
        /// The URL, without credentials.
        url: String,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
    /// What a git URL asks for cannot be had.
    #[error("`{url}` {problem}")]
    GitUrl {
        /// The URL.
        url: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The server does not have the ref.
    #[error("`{url}` has no branch or tag `{wanted}`")]
    RefNotFound {
        /// The repository.
        url: String,
        /// What was asked for.
        wanted: String,
    },
    /// The server does not have the commit any more.
    #[error("commit {commit} is not in `{url}`: the branch was rewritten or the commit never pushed")]
    CommitNotFound {
        /// The repository.
        url: String,
        /// What was asked for.
        commit: String,
    },
    /// The server wants a login, or another one than it was shown.
    #[error("`{url}`: {}", denied(host, *shown))]
    Denied {
        /// The repository.
        url: String,
        /// Its host, with the port.
        host: String,
        /// Whether it was shown a login.
        shown: bool,
    },
    /// The repository is of a kind that is not read.
    #[error("`{url}` cannot be read: {problem}")]
    Unsupported {
        /// The repository.
        url: String,
        /// Why not.
        problem: &'static str,
    },
    /// The server does not know the repository.
    #[error("`{url}` is no git repository, or one that is only shown to who may see it")]
    RepositoryNotFound {
        /// The repository.
        url: String,
    },
    /// The build was cancelled, or the fetch ended in another way that was not its own.
    #[error("fetching from `{url}`: {reason}")]
    Stopped {
        /// The repository.
        url: String,
        /// Which of them.
        reason: &'static str,
    },
    /// The server took too long.
    #[error("fetching from `{url}`: the server was not done after {limit}")]
    TooSlow {
        /// The repository.
        url: String,
        /// How long it may take.
        limit: String,
    },
    /// What the server sent cannot be unpacked with the memory that a fetch may have.
    #[error("fetching from `{url}`: what the server sends needs more memory than a fetch may have")]
    TooLarge {
        /// The repository.
        url: String,
    },
    /// The commit has more paths than one instruction may take.
    #[error("`{url}` has more than {limit} paths: leave out `.git`, or raise `limits.paths`")]
    TooManyPaths {
        /// The repository.
        url: String,
        /// How many there may be.
        limit: usize,
    },
    /// The URL leads to where this fetch may not reach.
    #[error("{0}")]
    NotAllowed(String),
    /// What the server sent is not what git makes.
    #[error("fetching from `{url}`: what the server sends cannot be unpacked: {problem}")]
    Unpack {
        /// The repository.
        url: String,
        /// Why not.
        problem: String,
    },
    /// The server or the network failed.
    #[error("fetching from `{url}`")]
    Fetch {
        /// The repository.
        url: String,
        /// Why.
        #[source]
        cause: RemoteError,
    },
    /// The mirror on disk cannot be used.
    #[error("opening the mirror of `{url}`")]
    Mirror {
        /// The repository.
        url: String,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The context is not in the commit.
    #[error("the build context `{0}` is no directory of the commit")]
    ContextNotFound(String),
    /// A tar cannot be a context.
    #[error("reading the tar `{name}`: {problem}")]
    Tarball {
        /// Where it came from.
        name: String,
        /// Why not.
        problem: String,
    },
    /// A local directory cannot be used.
    #[error("opening the directory `{path}`")]
    Directory {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

fn denied(host: &str, shown: bool) -> String {
    match shown {
        true => {
            format!("the login for {host} was refused: its token may have expired, or may not read this repository")
        }
        false => format!(
            "no login is configured for {host}: set `[git.\"{host}\"]` in slipway.toml, or give `slipway build` the secret \
             GIT_AUTH_TOKEN"
        ),
    }
}

impl SourceError {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            SourceError::Url { .. } | SourceError::GitUrl { .. } | SourceError::NotAllowed(_) => "invalid_clone_url",
            SourceError::RefNotFound { .. } => "ref_not_found",
            SourceError::CommitNotFound { .. } => "commit_not_found",
            SourceError::Denied { .. } => "source_auth",
            SourceError::Unsupported { .. } => "repository_unsupported",
            SourceError::RepositoryNotFound { .. } => "repository_not_found",
            SourceError::Stopped { .. } => "fetch_stopped",
            SourceError::TooSlow { .. } => "source_timeout",
            SourceError::TooLarge { .. } => "source_too_large",
            SourceError::TooManyPaths { .. } => "too_many_paths",
            SourceError::Fetch { .. } | SourceError::Unpack { .. } => "fetch_failed",
            SourceError::Mirror { .. } => "mirror_failed",
            SourceError::ContextNotFound(_) => "context_not_found",
            SourceError::Tarball { .. } => "archive_unsafe",
            SourceError::Directory { .. } => "context_not_found",
        }
    }

    /// Tells whether another attempt may succeed without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            SourceError::Fetch { .. }
                | SourceError::Unpack { .. }
                | SourceError::Mirror { .. }
                | SourceError::Stopped { .. }
                | SourceError::TooSlow { .. }
        )
    }
}

#[cfg(test)]
pub(crate) mod committed;
#[cfg(test)]
mod remembered;
#[cfg(test)]
mod tests;
