//! The registry's answers, over its whole HTTP surface.
#![allow(missing_docs, clippy::unwrap_used)]

mod accounts;
mod blobs;
mod hub;
mod lists;
mod manifests;
mod mirror;
mod mirror_streams;
mod model;
mod policy;
mod referrers;
mod retention;
mod scoped;
mod uploads;
