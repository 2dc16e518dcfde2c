//! Limits of single processes, as the kernel has them.

use nix::libc;
use nix::unistd::Pid;

/// A resource with a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limited {
    /// The size of a file that it writes.
    FileSize,
    /// Its processor time.
    ProcessorTime,
}

/// Limits of one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The limit in force.
    pub soft: u64,
    /// The value to which it may be raised.
    pub hard: u64,
}

/// Returns the limits of a process that has not been waited for.
pub(crate) fn of(process: Pid, limited: Limited) -> Option<Limits> {
    let resource = match limited {
        Limited::FileSize => libc::RLIMIT_FSIZE,
        Limited::ProcessorTime => libc::RLIMIT_CPU,
    };
    let mut known = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit outlives the call, and nothing is changed.
    let result = unsafe { libc::prlimit(process.as_raw(), resource, std::ptr::null(), &raw mut known) };
    (result == 0).then_some(Limits { soft: known.rlim_cur, hard: known.rlim_max })
}
