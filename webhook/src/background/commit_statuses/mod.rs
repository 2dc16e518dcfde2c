//! Commit statuses: forges show the builds of their commits.

mod check;
mod lanes;
mod publish;
mod text;

pub(crate) use lanes::{LaneEnd, Lanes};
pub use publish::publish_statuses;
pub(crate) use text::size;
