//! `COPY`, `ADD` and `WORKDIR` as pure functions: a view of the source, a tree of the destination, entries of a layer.
//!
//! These functions do not touch a file system, so a path cannot escape: links are followed inside the view or tree.

mod absent;
mod archive;
mod chmod;
mod destination;
mod entry;
mod error;
mod input;
mod layer;
mod owner;
mod place;
mod request;
mod select;
mod selection_key;

pub(crate) use absent::{Searched, absent, not_found};
pub use archive::Archive;
pub use chmod::Chmod;
pub use destination::{Destination, SameContent};
pub use entry::{Content, LayerEntry};
pub use error::CopyError;
pub use input::CopyInput;
pub use owner::{Owner, is_numeric, lookup_owner};
pub use place::{plan_copy, plan_workdir};
pub use request::CopyRequest;
pub use select::{CopySource, Item, missing, select};
pub use selection_key::selection_key;

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
