//! Deliveries: accepted once, put in the order of the pushes to their refs, and followed by builds or a fetch of rules.

pub(crate) mod accept;
pub(crate) mod batch;
pub(crate) mod batches;
pub(crate) mod delivery;
pub(crate) mod forge_repository;
pub(crate) mod push;
pub(crate) mod push_order;
pub(crate) mod reported_refs;
pub(crate) mod rules_fetch;
