//! `slipway volume`: the volumes of containers.

mod arguments;
mod ls;
mod rm;

pub(crate) use arguments::{Arguments, run_group};
pub(crate) use rm::prune_unused;
