//! The command line.

pub mod call;
pub mod commands;
pub mod data_directory;
pub mod local_builds;
