//! Mirrors: pull-through caches of registries, each with a store of its own.

mod eviction;
mod flight;
mod limits;
mod mirrored;
mod mirrors;
mod sink;
mod upstream;

pub use mirrored::{Mirror, MirrorSettings, Named as MirrorName, Upstream};
pub use mirrors::Mirrors;
