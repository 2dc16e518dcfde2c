//! Shared by the tests: a running slipway, worker pools, git servers, disks that fail.

pub mod bench;
pub mod build_directory;
#[allow(dead_code)]
#[path = "../../database/src/tests/postgres.rs"]
pub mod cluster;
pub mod forge_server;
#[path = "git_server/server.rs"]
pub mod git_server;
pub mod raw_http;
pub mod scripted_git;
pub mod scripted_registry;
mod slipway;
pub mod test_disk;
pub mod worker_pool;

pub use slipway::*;
