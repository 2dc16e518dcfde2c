//! Whether the process has room for a build: one that runs must not fail because another was begun.

use std::sync::atomic::{AtomicBool, Ordering};

/// Files that one build may have open besides those of the worker: layers, sockets of its sandbox and of registries.
const FILES: usize = 128;
/// Files that the worker itself has open: its database, its log, the connections of rules fetches.
const OWN_FILES: usize = 64;

/// Keeps builds within the limit of open files, and logs when it is reached.
#[derive(Debug, Default)]
pub(crate) struct FdBudget {
    is_full: AtomicBool,
}

impl FdBudget {
    /// Returns whether a build may be claimed beside `running` others, which may not have opened their files yet.
    pub(crate) fn is_left(&self, running: usize) -> bool {
        let (Some(open), Some(limit)) = (open_files(), limit_of_files()) else { return true };
        let is_full = open.max(OWN_FILES + running * FILES) + FILES > limit;
        if is_full && !self.is_full.swap(is_full, Ordering::Relaxed) {
            tracing::warn!(open, limit, "no build is claimed: the worker may not open enough files (ulimit -n)");
        }
        self.is_full.store(is_full, Ordering::Relaxed);
        !is_full
    }
}

fn open_files() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

/// Returns how many files the process may open; `None` if there is no limit or it is not known.
fn limit_of_files() -> Option<usize> {
    limit_in(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn limit_in(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_as_the_kernel_shows_it() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(limit_in(limits), Some(1024));
        assert_eq!(limit_in(&limits.replace("1024 ", "unlimited ")), None);
        assert!(open_files().is_some_and(|open| open > 2));
    }
}
