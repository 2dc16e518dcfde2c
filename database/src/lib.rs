//! SQL, the only place: deliveries, builds (the queue), steps, logs, cache index, tag order.
#![forbid(unsafe_code)]

mod record;

pub use record::*;
