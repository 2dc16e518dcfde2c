//! The clock that leases are measured with.

use std::time::Duration;

/// Returns how long the machine has been up, the time that it was asleep included.
pub fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
