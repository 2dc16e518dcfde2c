//! Git: fetches, servers and repositories of every kind.

pub(crate) mod bad_repositories;
pub(crate) mod fetches;
pub(crate) mod lfs;
pub(crate) mod servers;
pub(crate) mod ssh;
pub(crate) mod submodules;
pub(crate) mod whole_commits;
