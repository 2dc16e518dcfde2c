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
mod service;
mod hostile_git;
mod hostile_images;
mod http;
mod huge_trees;
mod intake;
mod kept_images;
mod kills;
mod layers;
mod leaks;
mod logs;
mod lookups;
mod openapi;
mod out_of_memory;
mod outputs;
mod own_rules;
mod owners;
mod pages;
mod path_filters;
mod place;
mod platforms;
mod postgres;
mod power_loss;
mod profiles;
mod prompt;
mod pull_requests;
mod push;
mod random_builds;
mod reading;
mod reconcile;
mod refusals;
mod registries;
mod results;
mod retries;
mod rot;
mod safety;
mod secrets;
mod serving;
mod slow_disk;
mod statuses;
mod step_states;
mod steps;
mod support;
