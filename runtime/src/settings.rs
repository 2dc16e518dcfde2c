//! How steps are confined, on this machine.

use crate::{Calls, Error, Ids};
use std::path::{Path, PathBuf};

const GIB: u64 = 1024 * 1024 * 1024;

/// Settings of all sandboxes of a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of snapshots, cache mounts and running attempts; owned by the ids of the sandbox.
    pub state: PathBuf,
    /// Which ids of this machine the sandbox uses.
    pub ids: Ids,
    /// Limits of a build.
    pub limits: Limits,
    /// Networks that a step may reach.
    pub network: NetworkPolicy,
    /// How programs of all steps may call the kernel.
    pub calls: Calls,
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
    /// Bytes that one step may leave on disk; also the largest file that it may write.
    pub disk_bytes: u64,
    /// Files that one step may leave on disk.
    pub disk_files: u64,
    /// Space that stays free on the disk whatever steps write.
    pub reserve_bytes: u64,
    /// Bytes that one layer of an image may unpack to.
    pub layer_bytes: u64,
    /// Entries that one layer of an image may have.
    pub layer_entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: Some(4 * GIB),
            pids: Some(4096),
            cpus: None,
            disk_bytes: 20 * GIB,
            disk_files: 2_000_000,
            reserve_bytes: GIB,
            layer_bytes: 10 * GIB,
            layer_entries: 2_000_000,
        }
    }
}

/// Networks that a step may reach besides public addresses; never the machine itself, nor link-local addresses.
///
/// The package mirrors and proxies that this machine's own `apt` uses can always be reached, wherever they are.
#[derive(Debug, Clone, Default)]
pub struct NetworkPolicy {
    /// Whether all private ranges (10.0.0.0/8, 192.168.0.0/16, …) can be reached.
    pub private: bool,
    /// Private networks (`10.1.0.0/16`), addresses and host names that can be reached in any case.
    pub allowed: Vec<String>,
}

impl NetworkPolicy {
    /// Begins to look up the hosts that can be reached in any case, so that the first attempt need not wait for a resolver.
    pub fn begin_lookups(&self) {
        crate::network::begin_lookups(self);
    }
}

impl Settings {
    /// Returns the default settings for the state in `directory`, which is created.
    pub fn new(directory: &Path) -> Result<Self, Error> {
        let place = directory.join("sandbox");
        let ids = Ids::detect(&place)?;
        let state = ids.prepare_state(&place)?;
        crate::check_filesystem(&place)?;
        let mut limits = Limits::default();
        limits.reserve_bytes = limits.reserve_bytes.min(tenth_of_disk(&place));
        Ok(Settings { state, ids, limits, network: NetworkPolicy::default(), calls: Calls::Native })
    }
}

/// Returns a tenth of the size of a file system: on a small one, more than that need not stay free.
fn tenth_of_disk(directory: &Path) -> u64 {
    let known = rustix::fs::statvfs(directory);
    known.map_or(u64::MAX, |known| known.f_blocks.saturating_mul(known.f_frsize) / 10)
}
