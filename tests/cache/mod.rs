//! The cache: what later builds reuse.

pub(crate) mod reuse;
