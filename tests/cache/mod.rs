//! The cache: what later builds reuse.

pub(crate) mod distance;
pub(crate) mod reuse;
