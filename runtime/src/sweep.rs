//! Removes what builds left behind that did not end by themselves.

use crate::sandbox::SWEEPER;
use crate::{Error, Sandbox, Settings, cgroup};
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the sweeps of this process, which may go on at the same time.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// Removes directories and control groups of attempts whose processes are gone; those in use are left alone.
pub fn sweep(settings: &Settings) -> Result<(), Error> {
    cgroup::sweep();
    let work = settings.state.join("w");
    let empty = std::fs::read_dir(&work).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return Ok(());
    }
    // Only the sandbox's own ids may touch what steps left there.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Sandbox::start(settings, &format!("{SWEEPER}{}-{number}", std::process::id()))?.sweep()
}
