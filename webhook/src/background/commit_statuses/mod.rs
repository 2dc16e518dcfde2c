//! Commit statuses: what forges are told of builds.

mod forge;
mod publish;
mod text;

pub use publish::tell_statuses;
