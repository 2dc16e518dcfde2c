//! Commands on all images and containers together.

mod arguments;
mod df;
mod prune;

pub(crate) use arguments::{Arguments, run};
