//! The embedded OCI registry: the distribution API over the image store.
//!
//! One store keeps the bytes of all repositories; each serves, mounts, lists and deletes only what it was given.
#![forbid(unsafe_code)]

mod access;
mod accounts;
mod audit;
mod bearer;
mod blobs;
mod error;
mod events;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod guesses;
mod lists;
mod manifests;
mod mount;
mod policy;
mod put;
mod query;
mod referrers;
mod restore;
mod retention;
mod rights;
mod route;
mod search;
mod sent;
mod server;
mod session;
mod settings;
mod through;
mod token;
mod uploads;

pub use access::Access;
pub use accounts::{Accounts, User};
pub use events::{Endpoint, EventKind};
pub use policy::{ImmutableTags, Quota};
pub use restore::{RestoreError, restore};
pub use retention::{RemovedTag, RetentionRule, apply_retention, keep_retention};
pub use server::router;
pub use settings::{ClientAddress, Settings};
