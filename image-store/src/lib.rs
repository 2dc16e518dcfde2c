//! Blobs by digest, tags, layer indexes, garbage collection: one content store for builds, pulls and the registry.
//!
//! Several processes use the same directory at once: whatever becomes visible becomes so by a rename.
#![forbid(unsafe_code)]

mod absent;
mod alone;
mod check;
mod contents;
mod deleted;
mod document;
mod error;
mod files;
mod key;
mod lease;
mod mirror;
mod notes;
mod proof;
mod reach;
mod referrers;
mod served;
mod shelf;
mod store;
mod tags;
mod writer;

pub use alone::Alone;
pub use check::{Collected, Report};
pub use contents::Part;
pub use deleted::DeletedTag;
pub use document::{Document, MAX_DOCUMENT, Named};
pub use error::Error;
pub use mirror::{Coming, Mirror, MirrorBlob, MirrorName, MirrorSettings, Mirrors, Upstream};
pub use served::{SERVED, Served, UNPACKED};
pub use store::Store;
pub use writer::{BlobWriter, Written};
