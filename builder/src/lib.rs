//! Builds images from commits: source, Dockerfile, plan, cache, execution, layers, and the worker that claims builds.
#![forbid(unsafe_code)]

pub mod dockerfile;
pub mod view;
