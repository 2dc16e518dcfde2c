//! Commands on containers, one file each.

mod arguments;
pub(crate) mod attach;
pub(crate) mod commit;
pub(crate) mod cp;
pub(crate) mod exec;
pub(crate) mod flags;
mod mounts;
pub(crate) mod ps;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod supervise;

pub(crate) use arguments::{Arguments, run_group};
