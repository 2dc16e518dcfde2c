//! The minimum rate of downloads: a server that sends too slowly is given up.

use crate::Error;
use std::time::{Duration, Instant};

/// The rate below which a download is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumRate {
    /// Bytes that must arrive within each window.
    pub bytes: u64,
    /// Length of a window.
    pub window: Duration,
}

impl Default for MinimumRate {
    fn default() -> Self {
        MinimumRate { bytes: 10 * 1024, window: Duration::from_secs(30) }
    }
}

/// Watches that a download keeps the minimum rate: with one byte a second no read timeout ever expires (REG-27).
pub(crate) struct Pace<'p> {
    minimum: MinimumRate,
    registry: &'p str,
    since: Instant,
    bytes: u64,
}

impl<'p> Pace<'p> {
    /// Starts the first window.
    pub(crate) fn new(minimum: MinimumRate, registry: &'p str) -> Self {
        Pace { minimum, registry, since: Instant::now(), bytes: 0 }
    }

    /// Counts bytes that arrived; fails if too few came within the last window.
    pub(crate) fn passed(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes as u64;
        if self.since.elapsed() < self.minimum.window {
            return Ok(());
        }
        if self.bytes < self.minimum.bytes {
            return Err(Error::broken(self.registry, "it sends too slowly"));
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}
