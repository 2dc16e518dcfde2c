//! Retention: what is kept of builds, logs and deliveries, and for how long.

mod audit_log;
pub(crate) mod builds;
pub(crate) mod deliveries;
pub(crate) mod plan;
pub(crate) mod registry;
pub(crate) mod removals;
pub(crate) mod sweep;
