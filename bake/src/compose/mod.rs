//! Compose files: each service with a build is a target.

mod build;
mod document;
mod environment;
mod interpolate;

pub(crate) use build::add;
