//! Watches what a step leaves on disk: a look costs one system call, and only a suspicion costs a count.
//!
//! A limit of the file system itself would need quotas, which few have. Writes of others at the same time raise a
//! suspicion, too, but only the files of the step itself count against its limits. Free space is looked at the more often
//! the sooner it could be gone, and `super::allocate` answers for the one call that is faster than any look.

use super::measure::{Measure, Used, Written};
use crate::DiskFull;
use crate::protocol::DiskLimits;
use nix::unistd::Pid;
use rustix::fs::StatVfs;
use std::time::{Duration, Instant};

/// A count is followed by a rest of this many times its duration.
const REST: u32 = 10;
/// Longest interval between two checks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Shortest interval between two checks: near the reserve that must stay free, and near the limit of the step.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
const MIN_LIMIT_INTERVAL: Duration = Duration::from_millis(10);
/// Bytes in a second that steps write at most, as far as is expected: to memory, from several processors.
const MAX_RATE: u64 = 8 << 30;
/// How long a step may go on writing when it is to end: until the next look, and until the kernel has ended it.
const REACTION: Duration = Duration::from_millis(50);
/// Bytes above what must stay free that no step gets.
const MARGIN: u64 = 32 << 20;

/// Looks after the directories in which a step writes.
pub(crate) struct Watch {
    measure: Measure,
    limits: DiskLimits,
    /// The space in use before the step.
    before: Used,
    /// Space in use before the step started, as far as is known.
    start: Used,
    next_count: Instant,
    last: Look,
}

/// The result of one poll.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    available: u64,
    grown: u64,
    /// Bytes in a second that the file system lost since the look before.
    rate: u64,
}

/// When a suspicion is followed by a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// When the last one is long enough ago: the step goes on meanwhile.
    Rested,
    /// Now: the step waits.
    Now,
}

impl Watch {
    /// Starts to watch what a step writes, which has not begun.
    pub(crate) fn new(written: Vec<Written>, limits: DiskLimits) -> Watch {
        let now = Instant::now();
        let last = Look { at: now, available: u64::MAX, grown: 0, rate: 0 };
        let measure = Measure::new(written, limits);
        let mut watch =
            Watch { measure, limits, before: Used::default(), start: Used::default(), next_count: now, last };
        if let Some(known) = watch.statistics() {
            watch.before = used(&known);
            watch.start = watch.before;
            watch.last.available = available(&known);
        }
        watch
    }

    /// Tells what the step, whose first process is `step`, has too much of.
    pub(crate) fn look(&mut self, step: Pid, count: Count) -> Option<DiskFull> {
        let known = self.statistics()?;
        self.remember(&known, count);
        if self.limits.reserve > 0 && self.last.available < self.threshold() {
            return Some(DiskFull::Reserve(self.limits.reserve));
        }
        // Where files are numbered in advance, a hundredth of the numbers stays free.
        if known.f_files > 0 && known.f_favail < known.f_files / 100 {
            return Some(DiskFull::Files(self.limits.files));
        }
        self.count(&known, Some(step), count)
    }

    /// Tells what a step that has ended has left too much of.
    pub(crate) fn last_look(&mut self) -> Option<DiskFull> {
        let known = self.statistics()?;
        self.count(&known, None, Count::Now)
    }

    /// Returns the time until the next check.
    pub(crate) fn pause(&self) -> Duration {
        let time = |bytes: u64| Duration::from_micros(bytes.saturating_mul(1_000_000) / MAX_RATE);
        let reserve = match self.limits.reserve {
            0 => POLL_INTERVAL,
            _ => time(self.last.available.saturating_sub(self.threshold())).max(MIN_INTERVAL),
        };
        let limit = time(self.limits.bytes.saturating_sub(self.last.grown)).max(MIN_LIMIT_INTERVAL);
        reserve.min(limit).min(POLL_INTERVAL)
    }

    /// Returns the bytes that can be used at this moment before what must stay free is touched.
    pub(crate) fn room(&self) -> u64 {
        let reserve = if self.limits.reserve > 0 { self.limits.reserve.saturating_add(MARGIN) } else { 0 };
        self.statistics().map_or(0, |known| available(&known).saturating_sub(reserve))
    }

    /// Returns the limits of the step.
    pub(crate) fn limits(&self) -> DiskLimits {
        self.limits
    }

    /// Returns the available bytes below which a step ends: the faster they go, the more are left.
    fn threshold(&self) -> u64 {
        let meanwhile = u128::from(self.last.rate) * REACTION.as_micros() / 1_000_000;
        self.limits.reserve.saturating_add(MARGIN).saturating_add(u64::try_from(meanwhile).unwrap_or(u64::MAX))
    }

    fn remember(&mut self, known: &StatVfs, count: Count) {
        let (now, available) = (Instant::now(), available(known));
        let since = now.duration_since(self.last.at).max(MIN_INTERVAL);
        let lost = u128::from(self.last.available.saturating_sub(available));
        let rate = match count {
            Count::Rested => u64::try_from(lost * 1_000_000 / since.as_micros()).unwrap_or(u64::MAX).min(MAX_RATE),
            // An allocation that was just made goes on only when it is allowed to.
            Count::Now => self.last.rate,
        };
        self.last = Look { at: now, available, grown: used(known).bytes.saturating_sub(self.start.bytes), rate };
    }

    fn count(&mut self, known: &StatVfs, step: Option<Pid>, count: Count) -> Option<DiskFull> {
        let now = used(known);
        let since = |start: &Used| Used {
            bytes: now.bytes.saturating_sub(start.bytes),
            files: now.files.saturating_sub(start.files),
        };
        if !since(&self.start).exceeds(&self.limits) || (count == Count::Rested && Instant::now() < self.next_count) {
            return None;
        }
        let began = Instant::now();
        let counted = self.measure.count(step, since(&self.before));
        self.next_count = Instant::now() + began.elapsed() * REST + 2 * POLL_INTERVAL;
        self.start.bytes = now.bytes.saturating_sub(counted.bytes);
        self.start.files = now.files.saturating_sub(counted.files);
        if counted.exceeds_bytes(&self.limits) {
            return Some(DiskFull::Bytes(self.limits.bytes));
        }
        (counted.files > self.limits.files).then_some(DiskFull::Files(self.limits.files))
    }

    fn statistics(&self) -> Option<StatVfs> {
        rustix::fs::fstatvfs(self.measure.place()?).ok()
    }
}

fn available(known: &StatVfs) -> u64 {
    known.f_bavail.saturating_mul(known.f_frsize)
}

fn used(known: &StatVfs) -> Used {
    Used {
        bytes: known.f_blocks.saturating_sub(known.f_bfree).saturating_mul(known.f_frsize),
        files: known.f_files.saturating_sub(known.f_ffree),
    }
}
