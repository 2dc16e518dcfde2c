//! The functions that bake documents.

mod collections;
mod format;
mod network;
mod numbers;
mod semver_range;
mod sets;
mod strings;
mod table;
mod texts;
mod times;

pub(crate) use strings::clean as clean_path;
pub use table::Facts;
pub(crate) use table::call;
