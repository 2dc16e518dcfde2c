//! slipway as its users meet it: the program, real git over HTTP, real registries, real containers.
//!
//! One binary holds all tests, because linking is what takes long.
// A test that cannot go on panics: that is how it says so. clippy's own exception covers only functions marked as tests.
#![allow(clippy::unwrap_used)]

// The cluster is started as the tests of the database start it.
#[allow(dead_code)]
#[path = "../database/src/tests/postgres.rs"]
mod cluster;

mod add;
mod answers;
mod api;
mod architecture;
mod bad_dockerfiles;
mod base_images;
mod bombs;
mod by_hand;
mod cache;
mod calls;
mod cancel;
mod commands;
mod compression;
mod conformance;
mod containers;
mod contexts;
mod crash;
mod disk;
mod documentation;
mod dry_run;
mod epochs;
mod explain;
mod faults;
mod faulty;
mod fetches;
mod forges;
mod git_inputs;
mod git_servers;
mod grounds;
mod hooks;
mod hostile;
mod hostile_git;
mod hostile_images;
mod http;
mod huge_trees;
mod images;
mod intake;
mod kept_images;
mod kills;
mod layers;
mod leaks;
mod logs;
mod lookups;
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
mod usage;
mod webhooks;
mod whole_commits;
mod workers;
mod yard;
