//! Requests to fetch: a revision, and the limits of the fetch.

use super::ssh::SshAccess;
use git2::Oid;
use registry_client::Reach;
use runtime::CancellationToken;
use std::time::Duration;

/// The full hash of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitId(String);

impl CommitId {
    /// Takes 40 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| CommitId(text.to_owned()))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn oid(&self) -> Oid {
        Oid::from_str(&self.0).expect("40 hexadecimal digits are an object id")
    }
}

/// A revision: a commit, or a ref that names one.
#[derive(Debug, Clone)]
pub enum Revision {
    /// A commit, and the ref it was pushed to, which helps to find it.
    Commit {
        /// Full hash.
        id: String,
        /// Full name of the ref.
        git_ref: Option<String>,
    },
    /// Whatever a branch, a tag, a full ref name or a hash names now; `HEAD` for the default branch.
    Ref(String),
}

/// How to fetch.
#[derive(Clone)]
pub struct FetchSettings {
    /// Sends the requests.
    pub client: registry_client::Client,
    /// Runs what is asynchronous on behalf of the thread that fetches.
    pub tokio: tokio::runtime::Handle,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// Key and hosts of repositories over ssh; `None` where those are not fetched from.
    pub ssh: Option<SshAccess>,
    /// How long it may take.
    pub timeout: Duration,
    /// Ends it before.
    pub cancel: CancellationToken,
    /// Addresses that may be connected to.
    pub reach: Reach,
    /// Addresses that other servers may have which it redirects to.
    pub elsewhere: Reach,
    /// Whether a process of its own unpacks what comes: see [`super::unpack::enter_if_asked`], which the program must call.
    pub apart: bool,
}
