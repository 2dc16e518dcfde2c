//! The commands, one file each.

mod build;
mod check;
mod serve;
mod worker;

use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// What slipway is asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a directory or a git URL
    Build(Box<build::Arguments>),
    /// Check a Dockerfile without building it
    Check(check::Arguments),
    /// Receive webhooks, serve the API, the pages and the registry, and build
    Serve(serve::Arguments),
    /// Build what a server has queued
    Worker(worker::Arguments),
}

/// Runs `command`.
pub fn run(command: Command, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match command {
        Command::Build(arguments) => build::run(&arguments, data_dir),
        Command::Check(arguments) => check::run(&arguments, data_dir),
        Command::Serve(arguments) => serve::run(&arguments, data_dir),
        Command::Worker(arguments) => worker::run(&arguments, data_dir),
    }
}
