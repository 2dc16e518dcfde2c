//! Why a commit or a context cannot be had.

use super::remote::RemoteError;
use crate::error::Code;

/// A source could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The URL is none that is fetched from.
    #[error("`{url}`: {problem}")]
    Url {
        /// The URL, without credentials.
        url: String,
        /// The problem, and what would be right.
        problem: &'static str,
    },
    /// The URL of a git context asks for what cannot be had.
    #[error("`{url}` {problem}")]
    GitUrl {
        /// The URL.
        url: String,
        /// The problem, and what would be right.
        problem: String,
    },
    /// The server does not have the ref.
    #[error("`{url}` has no branch or tag `{wanted}`")]
    RefNotFound {
        /// The repository.
        url: String,
        /// The revision that was asked for.
        wanted: String,
    },
    /// The server no longer has the commit.
    #[error("commit {commit} is not in `{url}`: the branch was rewritten or the commit never pushed")]
    CommitNotFound {
        /// The repository.
        url: String,
        /// The revision that was asked for.
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
    /// A login for the repository cannot be had now.
    #[error("fetching from `{url}`: there is no login now: {problem}")]
    NoLogin {
        /// The repository.
        url: String,
        /// Why not.
        problem: String,
    },
    /// The server wants a login, and what named the repository is not trusted with one.
    #[error("`{url}` wants a login, and none is used: {WITHHELD}")]
    LoginWithheld {
        /// The repository.
        url: String,
    },
    /// The host of a repository over ssh has a key that is not trusted.
    #[error("`{url}`: the host's key is {found}, {}", untrusted(host, *is_known))]
    HostKey {
        /// The repository.
        url: String,
        /// Its host, with the port.
        host: String,
        /// The kind and the fingerprint of the key.
        found: String,
        /// Whether another one is trusted.
        is_known: bool,
    },
    /// A server does not let a deploy key in.
    #[error("`{url}`: {}", key_denied(*shown))]
    KeyDenied {
        /// The repository.
        url: String,
        /// Whether it was shown one.
        shown: bool,
    },
    /// A submodule could not be had.
    #[error("the submodule `{path}` (`{url}`, commit {commit}) is not fetched")]
    Submodule {
        /// Where it stands.
        path: String,
        /// Its repository.
        url: String,
        /// The commit that the tree names.
        commit: String,
        /// Why.
        #[source]
        cause: Box<SourceError>,
    },
    /// A file that Git LFS keeps could not be had.
    #[error("`{path}` is kept by Git LFS and is not fetched for `{url}`: {problem}")]
    Lfs {
        /// The file.
        path: String,
        /// The repository.
        url: String,
        /// Why not.
        problem: String,
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
    #[error("`{url}` is not a git repository, or it is private and needs a login")]
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
    /// Unpacking needs more memory than a fetch may have.
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
    /// The server sent a malformed pack.
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
    #[error("the build context `{0}` is not a directory of the commit")]
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

/// The rule by which a submodule gets no login.
const WITHHELD: &str = "a build that is not trusted, as of a pull request from a fork, fetches submodules without logins, and so are those \
                        fetched that a submodule of another server names";

fn untrusted(host: &str, is_known: bool) -> String {
    let known = if is_known { "and another one is trusted" } else { "and none is known of this host" };
    format!(
        "{known}: if its administrator says that the fingerprint is right, put the line of `ssh-keyscan {host}` without the name into \
         `[git.\"{host}\"] host_keys = [\"ssh-ed25519 …\"]` of slipway.toml"
    )
}

fn key_denied(shown: bool) -> &'static str {
    match shown {
        true => {
            "the server does not let the repository's deploy key in: add what `slipway repo key` shows to the repository there, for reading"
        }
        false => {
            "it is fetched with a deploy key, and there is none: make one with `slipway repo key` and add it to the repository there"
        }
    }
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
    pub fn code(&self) -> Code {
        match self {
            SourceError::Url { .. } | SourceError::GitUrl { .. } | SourceError::NotAllowed(_) => Code::InvalidCloneUrl,
            SourceError::RefNotFound { .. } => Code::RefNotFound,
            SourceError::CommitNotFound { .. } => Code::CommitNotFound,
            SourceError::Denied { .. } | SourceError::LoginWithheld { .. } | SourceError::KeyDenied { .. } => {
                Code::SourceAuth
            }
            SourceError::HostKey { .. } => Code::HostKeyUnknown,
            // A failure that may pass by itself is tried again.
            SourceError::Submodule { cause, .. } if cause.code().is_retried() => cause.code(),
            SourceError::Submodule { .. } => Code::SubmoduleNotFetched,
            SourceError::Lfs { .. } => Code::LfsNotFetched,
            SourceError::Unsupported { .. } => Code::RepositoryUnsupported,
            SourceError::RepositoryNotFound { .. } => Code::RepositoryNotFound,
            SourceError::Stopped { .. } => Code::FetchStopped,
            SourceError::TooSlow { .. } => Code::SourceTimeout,
            SourceError::TooLarge { .. } => Code::SourceTooLarge,
            SourceError::TooManyPaths { .. } => Code::TooManyPaths,
            SourceError::Fetch { .. } | SourceError::Unpack { .. } | SourceError::NoLogin { .. } => Code::FetchFailed,
            SourceError::Mirror { .. } => Code::MirrorFailed,
            SourceError::ContextNotFound(_) => Code::ContextNotFound,
            SourceError::Tarball { .. } => Code::ArchiveUnsafe,
            SourceError::Directory { .. } => Code::ContextNotFound,
        }
    }

    /// Returns whether another attempt may succeed without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        self.code().is_retried()
    }
}
