//! The queue: builds are enqueued, claimed under a lease, written to while they run, and ended once.

pub(crate) mod approve;
pub(crate) mod cancel;
pub(crate) mod claim;
pub(crate) mod enqueue;
pub(crate) mod finish;
pub(crate) mod forecast;
pub(crate) mod group;
pub(crate) mod overview;
pub(crate) mod progress;
pub(crate) mod retry;
pub(crate) mod rollback;
pub(crate) mod switches;
pub(crate) mod wakeup;
pub(crate) mod watch;
pub(crate) mod workers;
