//! Why the steps of a build were executed or not: two prepared builds are compared, nothing is executed.

mod compare;
mod files;
mod own;
mod pair;
mod side;
mod stage;

pub(crate) use compare::compare;
pub(crate) use side::Side;
