//! Rate limit for guessing: too many failures from one address within a minute are answered with 429.
//!
//! Requests that succeed are never counted and never refused, so that nobody is locked out by a neighbour.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long failures count.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// A kind of failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Failure {
    /// A token that is not known.
    Token,
    /// A build that is not there.
    Build,
    /// A delivery with a wrong signature.
    Signature,
    /// A login of the command line that was begun, which counts whether it is confirmed or not.
    Device,
}

impl Failure {
    /// Failures within the window that are answered as such.
    fn limit(self) -> u32 {
        match self {
            Failure::Token | Failure::Signature | Failure::Device => 30,
            Failure::Build => 300,
        }
    }
}

/// Counts failures by address.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<HashMap<(IpAddr, Failure), (Instant, u32)>>);

impl Limiter {
    /// Counts a failure; returns the seconds to wait if there were too many.
    pub(crate) fn failed(&self, address: IpAddr, failure: Failure) -> Option<u64> {
        self.failed_at(address, failure, Instant::now())
    }

    /// Returns the seconds to wait if there were too many failures already; counts nothing.
    pub(crate) fn spent(&self, address: IpAddr, failure: Failure) -> Option<u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = counts.get(&(address, failure))?;
        let left = WINDOW.saturating_sub(began.elapsed());
        (*count >= failure.limit() && !left.is_zero()).then(|| left.as_secs().max(1))
    }

    fn failed_at(&self, address: IpAddr, failure: Failure, now: Instant) -> Option<u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_ADDRESSES {
            counts.retain(|_, (began, _)| now.saturating_duration_since(*began) < WINDOW);
            if counts.len() >= MAX_ADDRESSES {
                counts.clear();
            }
        }
        let (began, count) = counts.entry((address, failure)).or_insert((now, 0));
        if now.saturating_duration_since(*began) >= WINDOW {
            (*began, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        let left = WINDOW.saturating_sub(now.saturating_duration_since(*began));
        (*count > failure.limit()).then(|| left.as_secs().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_address_and_forgotten_after_a_minute() {
        // API-04, API-07
        let (limiter, now) = (Limiter::default(), Instant::now());
        let (one, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        for _ in 0..30 {
            assert_eq!(limiter.failed_at(one, Failure::Token, now), None);
        }
        assert_eq!(limiter.failed_at(one, Failure::Token, now), Some(60));
        assert_eq!(limiter.failed_at(one, Failure::Build, now), None);
        assert_eq!(limiter.failed_at(other, Failure::Token, now), None);
        assert_eq!(limiter.failed_at(one, Failure::Token, now + WINDOW), None);
    }
}
