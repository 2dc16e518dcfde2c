//! The settings of a worker.

use crate::git::{HostKeys, Logins};
use registry_client::ImagePattern;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in the database, unique among living workers.
    pub name: String,
    /// How many builds it runs at once.
    pub builds: usize,
    /// Protections of builds that this machine does not have.
    pub unprotected: Vec<String>,
    /// Where mirrors of repositories are kept.
    pub git_dir: PathBuf,
    /// Repositories that the operator's configuration names.
    pub own_repositories: BTreeSet<String>,
    /// User and password by the host of a clone URL, or by host and port.
    pub git_credentials: Logins,
    /// Logins for other clone URLs, which end soon.
    pub expiring_logins: Arc<dyn ExpiringLogins>,
    /// Keys of hosts that are fetched from over ssh.
    pub host_keys: HostKeys,
    /// Paths that one instruction may take.
    pub max_paths: usize,
    /// Bytes that a file may have that Git LFS keeps.
    pub lfs_max_bytes: u64,
    /// The image that hooks of Docker Hub run in.
    pub hook_image: String,
    /// Images that the operator allows all builds to read.
    pub reading: Reading,
    /// How long a fetch may take.
    pub fetch_timeout: Duration,
    /// How long one step may take; a rule may want less.
    pub step_timeout: Duration,
    /// How long one build may take; a rule may want less.
    pub build_timeout: Duration,
}

/// Logins for clone URLs that last for a while only: they are asked for before each fetch.
pub trait ExpiringLogins: fmt::Debug + Send + Sync {
    /// Returns user and password for the clone URL of a repository, if there are any; the error says why there
    /// are none now.
    fn login(&self, repository: &str, clone_url: &str) -> Result<Option<(String, String)>, String>;

    /// Forgets a login that the server refused; tells whether another one may be had.
    fn forget(&self, repository: &str, clone_url: &str) -> bool;
}

/// Images that the operator allows all builds to read.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Images that trusted builds may read with the operator's logins.
    pub with_login: Vec<ImagePattern>,
    /// Paths of the embedded registry that every build may read.
    pub shared: Vec<String>,
}
