//! The settings of a worker.

use crate::git::{HostKeys, Logins};
use registry_client::ImagePattern;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in the database, unique among living workers.
    pub name: String,
    /// How many builds it runs at once.
    pub builds: usize,
    /// Where mirrors of repositories are kept.
    pub git_dir: PathBuf,
    /// Repositories that the operator's configuration names.
    pub own_repositories: BTreeSet<String>,
    /// User and password by the host of a clone URL, or by host and port.
    pub git_credentials: Logins,
    /// Keys of hosts that are fetched from over ssh.
    pub host_keys: HostKeys,
    /// Paths that one instruction may take.
    pub max_paths: usize,
    /// Bytes that a file may have that Git LFS keeps.
    pub lfs_max_bytes: u64,
    /// Images that the operator allows all builds to read.
    pub reading: Reading,
    /// How long a fetch may take.
    pub fetch_timeout: Duration,
    /// How long one step may take; a rule may want less.
    pub step_timeout: Duration,
    /// How long one build may take; a rule may want less.
    pub build_timeout: Duration,
}

/// Images that the operator allows all builds to read.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Images that trusted builds may read with the operator's logins.
    pub with_login: Vec<ImagePattern>,
    /// Paths of the embedded registry that every build may read.
    pub shared: Vec<String>,
}
