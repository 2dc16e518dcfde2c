//! Shared by the tests: a running slipway, worker pools, git servers, disks that fail.

pub(crate) mod bench;
pub(crate) mod build_directory;
mod check_run;
#[allow(dead_code)]
#[path = "../../database/src/tests/postgres.rs"]
pub(crate) mod cluster;
pub(crate) mod forge_comments;
pub(crate) mod forge_hook_log;
mod forge_hooks;
pub(crate) mod forge_server;
#[path = "git_server/server.rs"]
pub(crate) mod git_server;
pub(crate) mod github_app;
pub(crate) mod raw_http;
pub(crate) mod round_trips;
pub(crate) mod scripted_git;
pub(crate) mod scripted_registry;
#[path = "../../registry-client/tests/server/mod.rs"]
pub(crate) mod scripted_server;
pub(crate) mod sign_in_server;
mod slipway;
pub(crate) mod test_disk;
pub(crate) mod worker_pool;

pub(crate) use slipway::*;
