//! Shared by the commands on images and containers: the store, the client, tables, formats, failures.

mod confirm;
mod failure;
mod format;
mod layers;
mod open;
mod table;

pub use crate::clock::unix_seconds as now;
pub use confirm::confirmed;
pub use failure::{Failure, each, told};
pub use format::{Format, ago, binary_bytes, bytes, short_time};
pub use layers::StoreLayers;
pub use open::{Hand, runtime};
pub use table::Table;
