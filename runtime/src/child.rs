//! Limits for helpers of a worker that are no sandboxes: they read what strangers sent.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

/// Lets this process allocate so much memory, leave no core, and live no longer than the one that started it.
pub fn limit_child(memory_bytes: u64) {
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_DATA, memory_bytes, memory_bytes);
}
