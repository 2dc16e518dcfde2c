//! Why builds fail.

mod build_error;
mod cause;
mod code;
mod fault;

pub use build_error::{Error, FailedStep};
pub use code::Code;
pub use fault::Fault;
