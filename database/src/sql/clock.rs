//! The database's clock. Workers' clocks decide nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of this machine, which is the database's when that is a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    #[cfg(test)]
    ahead: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Clock {
    /// Returns milliseconds since 1970.
    pub(crate) fn here_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis) + self.ahead_ms()
    }

    /// Returns by how much a test has moved the clock.
    pub(crate) fn ahead_ms(&self) -> i64 {
        #[cfg(test)]
        return self.ahead.load(std::sync::atomic::Ordering::SeqCst);
        #[cfg(not(test))]
        0
    }

    /// Moves the clock ahead.
    #[cfg(test)]
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(millis(by), std::sync::atomic::Ordering::SeqCst);
    }
}

/// Returns a duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
