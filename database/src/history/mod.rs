//! Reads about builds: lists, steps, logs, traces, counts, and the cache index.

pub(crate) mod builds;
pub(crate) mod cache;
pub(crate) mod contents;
pub(crate) mod counts;
pub(crate) mod explain;
pub(crate) mod logs;
pub(crate) mod trace;
pub(crate) mod trend;
