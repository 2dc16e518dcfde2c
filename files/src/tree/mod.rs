//! A stack of layers seen as one file system, without a file system: only their indexes are looked at.

mod building;
mod from_tar;
mod index;
mod links;
mod stack;

pub use building::MAX_ENTRIES;
pub use index::{Index, IndexEntry, IndexError, WalkPath};
pub use links::{LinkLoop, resolve_in};
pub use stack::{Tree, implied_directory};

#[cfg(test)]
mod tests;
