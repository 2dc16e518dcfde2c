//! Builds images from commits: source, Dockerfile, plan, cache, execution, layers, and the worker that claims builds.
#![forbid(unsafe_code)]

pub mod dockerfile;
mod error;
pub mod event;
pub mod plan;
pub mod view;

pub use error::{Error, FailedStep};
