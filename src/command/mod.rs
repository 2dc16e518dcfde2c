//! The commands, one file each.

mod build;

use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// What slipway is asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a directory or a git URL
    Build(build::Arguments),
}

/// Runs `command`.
pub fn run(command: Command, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match command {
        Command::Build(arguments) => build::run(&arguments, data_dir),
    }
}
