//! Commands on containers, one file each.

mod arguments;
pub mod attach;
pub mod commit;
pub mod cp;
pub mod exec;
pub mod flags;
pub mod ps;
pub mod rm;
pub mod run;
pub mod start;
pub mod stats;
pub mod stop;
pub mod supervise;

pub use arguments::{Arguments, run_group};
