//! Git: fetches, servers and repositories of every kind.

pub mod bad_repositories;
pub mod fetches;
pub mod servers;
pub mod whole_commits;
