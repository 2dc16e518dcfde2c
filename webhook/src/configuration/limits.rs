//! `[limits]` of the configuration: how long things may take, and how much a build may take.

use schemars::JsonSchema;
use serde::Deserialize;

/// Largest `limits.paths`: a layer holds no more entries.
const MAX_PATHS: usize = 2_000_000;
/// Largest `limits.lfs_mib`: a tebibyte.
const MAX_LFS: u64 = 1024 * 1024;
/// Smallest `limits.worker_memory_mib`.
const MIN_WORKER_MEMORY: u64 = 512;

/// `[limits]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Minutes that one step may take.
    pub step_minutes: u64,
    /// Minutes that one build may take.
    pub build_minutes: u64,
    /// Minutes that fetching a commit may take.
    pub fetch_minutes: u64,
    /// Paths that one instruction of a Dockerfile may take.
    pub paths: usize,
    /// Mebibytes that a file may have that Git LFS keeps.
    pub lfs_mib: u64,
    /// Mebibytes that a worker process may allocate itself, besides what steps use; `None` for half of the machine's.
    pub worker_memory_mib: Option<u64>,
    /// Seconds that running builds have to end when slipway is asked to; then they go back to the queue.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            step_minutes: 30,
            build_minutes: 60,
            fetch_minutes: 10,
            paths: 1_000_000,
            lfs_mib: 2048,
            worker_memory_mib: None,
            drain_seconds: 600,
        }
    }
}

impl Limits {
    /// Returns what makes no sense, and where it stands.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.step_minutes == 0 || self.build_minutes == 0 || self.fetch_minutes == 0 {
            return Err(("limits", "a limit of 0 minutes lets nothing be built".to_owned()));
        }
        if !(1..=MAX_PATHS).contains(&self.paths) {
            return Err(("limits.paths", format!("`{}`: a number from 1 to {MAX_PATHS} is expected", self.paths)));
        }
        if !(1..=MAX_LFS).contains(&self.lfs_mib) {
            return Err(("limits.lfs_mib", format!("`{}`: a number from 1 to {MAX_LFS} is expected", self.lfs_mib)));
        }
        match self.worker_memory_mib {
            Some(mebibytes) if mebibytes < MIN_WORKER_MEMORY => {
                let problem = format!("a worker needs {MIN_WORKER_MEMORY} MiB: give it that or more");
                Err(("limits.worker_memory_mib", problem))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_let_nothing_be_built_are_refused() {
        // SEC-B3
        assert!(Limits::default().check().is_ok());
        let of = |limits: Limits| limits.check().unwrap_err().0;
        assert_eq!(of(Limits { paths: 0, ..Limits::default() }), "limits.paths");
        assert_eq!(of(Limits { paths: MAX_PATHS + 1, ..Limits::default() }), "limits.paths");
        assert_eq!(of(Limits { lfs_mib: 0, ..Limits::default() }), "limits.lfs_mib");
        assert_eq!(of(Limits { worker_memory_mib: Some(100), ..Limits::default() }), "limits.worker_memory_mib");
        assert_eq!(of(Limits { build_minutes: 0, ..Limits::default() }), "limits");
        assert_eq!(of(Limits { fetch_minutes: 0, ..Limits::default() }), "limits");
    }
}
