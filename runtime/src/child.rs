//! Limits for processes other than sandboxes: workers, and their helpers that read untrusted input.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

/// Memory of this machine for one worker, at most.
const MAX_DEFAULT: u64 = 8 * 1024 * 1024 * 1024;

/// Lets this process allocate so much memory, leave no core, and live no longer than the one that started it.
pub fn limit_child(memory_bytes: u64) {
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_DATA, memory_bytes, memory_bytes);
}

/// Lets this process allocate so much memory, or half of the machine's; returns how much that is.
///
/// Only the soft limit is lowered, so that sandboxes can take it off again: steps have limits of their own. Mapped files
/// and memory that is shared do not count; address space that is only set aside does not either.
pub fn limit_memory(bytes: Option<u64>) -> std::io::Result<u64> {
    let bytes = bytes.unwrap_or_else(|| machine_memory().map_or(MAX_DEFAULT, |all| (all / 2).min(MAX_DEFAULT)));
    let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
    setrlimit(Resource::RLIMIT_DATA, bytes.min(hard), hard)?;
    Ok(bytes.min(hard))
}

/// Takes the limit of [`limit_memory`] off again.
pub(crate) fn unlimit_memory() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_DATA) {
        let _ = setrlimit(Resource::RLIMIT_DATA, hard, hard);
    }
}

/// Returns how much memory this machine has, or the container that this process is in.
fn machine_memory() -> Option<u64> {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limits = limits.iter().filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.chain(total_memory()).min()
}

fn total_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// Asks the process `id` to end, as `kill` does.
pub fn terminate(id: u32) {
    if let Ok(id) = i32::try_from(id) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM);
    }
}
