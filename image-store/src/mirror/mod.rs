//! Mirrors: pull-through caches of registries, each with a store of its own.

mod coming;
mod eviction;
mod flight;
mod limits;
mod lists;
mod mirrored;
mod mirrors;
mod upstream;

pub use coming::Coming;
pub use mirrored::{Mirror, MirrorBlob, MirrorSettings, Named as MirrorName, Upstream};
pub use mirrors::Mirrors;
