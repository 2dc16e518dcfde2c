//! The database's clock. Workers' clocks decide nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of the machine the database is on.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    #[cfg(test)]
    ahead: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Clock {
    /// Returns milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
        #[cfg(test)]
        let now = now + self.ahead.load(std::sync::atomic::Ordering::SeqCst);
        now
    }

    /// Moves the clock ahead.
    #[cfg(test)]
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(millis(by), std::sync::atomic::Ordering::SeqCst);
    }
}

/// Returns a duration in milliseconds.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
