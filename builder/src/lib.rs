//! Builds images from commits: source, Dockerfile, plan, cache, execution, layers, and the worker that claims builds.
//!
//! Knows no forge and no HTTP server, and never learns why it builds.
#![forbid(unsafe_code)]

pub mod copy;
pub mod dockerfile;
mod error;
pub mod event;
pub mod ignore;
mod key;
pub mod layer;
mod pattern;
pub mod plan;
pub mod tree;
pub mod view;

pub use error::{Error, FailedStep};
