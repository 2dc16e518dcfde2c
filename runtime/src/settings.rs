//! How steps are confined, on this machine.

use crate::{Error, Ids};
use std::path::{Path, PathBuf};

/// Settings of all sandboxes of a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where snapshots, cache mounts and running attempts are kept; owned by the ids of the sandbox.
    pub state: PathBuf,
    /// Which ids of this machine the sandbox uses.
    pub ids: Ids,
    /// What a build may use.
    pub limits: Limits,
    /// What a step may reach.
    pub network: NetworkPolicy,
}

/// Limits for all steps of one attempt together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Processor time in cores.
    pub cpus: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory_bytes: Some(4 * 1024 * 1024 * 1024), pids: Some(4096), cpus: None }
    }
}

/// What a step with network may reach besides public addresses; never the machine itself, nor link-local addresses.
#[derive(Debug, Clone)]
pub struct NetworkPolicy {
    /// Whether private ranges (10.0.0.0/8, 192.168.0.0/16, …) can be reached: registries and mirrors are often there.
    pub private: bool,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        NetworkPolicy { private: true }
    }
}

impl Settings {
    /// Returns the default settings for the state in `directory`, which is created.
    pub fn new(directory: &Path) -> Result<Self, Error> {
        let state = directory.join("sandbox");
        let ids = Ids::detect()?;
        ids.prepare_state(&state)?;
        Ok(Settings { state, ids, limits: Limits::default(), network: NetworkPolicy::default() })
    }
}
