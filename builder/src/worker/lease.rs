//! The worker's own view of its lease: measured from before it was asked for, on a clock that runs while the machine sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a lease holds without being renewed; the database has the same.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// So long before its end a lease that could not be renewed counts as lost: what runs needs time to end.
pub(crate) const MARGIN: Duration = Duration::from_secs(15);

/// When a lease was renewed last.
#[derive(Debug, Clone)]
pub(crate) struct LeaseClock(Arc<AtomicU64>);

impl LeaseClock {
    /// Takes a lease that was asked for at `asked`, a time of [`runtime::uptime`].
    pub(crate) fn at(asked: Duration) -> Self {
        LeaseClock(Arc::new(AtomicU64::new(in_ms(asked))))
    }

    /// Takes note that it was renewed by a request that was sent at `asked`.
    pub(crate) fn renew(&self, asked: Duration) {
        self.0.fetch_max(in_ms(asked), Ordering::Relaxed);
    }

    /// Returns how long ago that was.
    pub(crate) fn age(&self) -> Duration {
        runtime::uptime().saturating_sub(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }

    /// Returns how long the lease holds at least.
    pub(crate) fn remaining(&self) -> Duration {
        LEASE.saturating_sub(self.age())
    }
}

fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_runs_from_when_it_was_asked_for() {
        let asked = runtime::uptime().saturating_sub(Duration::from_secs(20));
        let renewed = LeaseClock::at(asked);
        assert!(renewed.remaining() <= Duration::from_secs(40), "{:?}", renewed.remaining());
        renewed.renew(asked + Duration::from_secs(10));
        renewed.renew(asked);
        assert!(renewed.age() < Duration::from_secs(12), "an answer that comes late renews nothing");
    }
}
