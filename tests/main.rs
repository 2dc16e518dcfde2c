//! slipway as its users meet it: the program, real git over HTTP, real registries, real containers.
//!
//! One binary holds all tests, because linking is what takes long.
// A test that cannot go on panics: that is how it says so. clippy's own exception covers only functions marked as tests.
#![allow(clippy::unwrap_used)]

mod add;
mod api;
mod architecture;
mod bad_dockerfiles;
mod by_hand;
mod cache;
mod cancel;
mod commands;
mod compression;
mod conformance;
mod crash;
mod dry_run;
mod faults;
mod fetches;
mod forges;
mod git_inputs;
mod hooks;
mod hostile;
mod hostile_git;
mod http;
mod kills;
mod layers;
mod leaks;
mod logs;
mod lookups;
mod own_rules;
mod path_filters;
mod platforms;
mod postgres;
mod prompt;
mod push;
mod registries;
mod retries;
mod secrets;
mod statuses;
mod support;
mod workers;
mod yard;
