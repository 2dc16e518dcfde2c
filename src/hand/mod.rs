//! Shared by the commands on images and containers: the store, the client, tables, formats, failures.

mod confirm;
mod failure;
mod format;
mod layers;
mod open;
mod table;

pub(crate) use crate::clock::unix_seconds as now;
pub(crate) use confirm::confirmed;
pub(crate) use failure::{Failure, each, told};
pub(crate) use format::{Format, ago, binary_bytes, bytes, short_time};
pub(crate) use layers::StoreLayers;
pub(crate) use open::{Hand, runtime};
pub(crate) use table::Table;
