//! The cache: what later builds reuse.

pub mod reuse;
