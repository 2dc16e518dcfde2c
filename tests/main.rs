//! slipway as its users meet it: the program, real git over HTTP, real registries, real containers.
//!
//! One binary holds all tests, because linking is what takes long.
// A test that cannot go on panics: that is how it says so. clippy's own exception covers only functions marked as tests.
#![allow(clippy::unwrap_used)]

mod architecture;
mod builds;
mod cache;
mod cli;
mod dockerfile;
mod git;
mod hostile;
mod registry;
mod reliability;
mod rooms;
mod service;
mod support;
mod tidy;
mod tidy_sql;
