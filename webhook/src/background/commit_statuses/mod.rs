//! Commit statuses: forges show the builds of their commits.

mod check;
mod lanes;
mod publish;
mod text;

pub use publish::publish_statuses;
