//! `.dockerignore`: the files of a context that `COPY` does not see.

mod file;
mod filtered;

pub use file::{Ignore, IgnoreError};
pub use filtered::Filtered;
