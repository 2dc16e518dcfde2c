//! Removes what builds left behind that did not end by themselves.

use crate::sandbox::SWEEPER;
use crate::unique::unique;
use crate::{Error, Sandbox, Settings, cgroup};

/// Removes directories and control groups of attempts whose processes are gone; those in use are left alone.
pub fn sweep(settings: &Settings) -> Result<(), Error> {
    cgroup::sweep();
    let work = settings.state.join("w");
    let empty = std::fs::read_dir(&work).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return Ok(());
    }
    // Only the sandbox's own ids may touch what steps left there.
    Sandbox::start(settings, &format!("{SWEEPER}{}", unique()))?.sweep()
}
