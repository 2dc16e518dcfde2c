//! The commands of `slipway system`, and which function runs each.

use super::{df, prune};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway system`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what takes up space
    Df(df::Arguments),
    /// Remove what nobody uses
    Prune(prune::Arguments),
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match &arguments.command {
        Command::Df(arguments) => df::run(arguments, data_dir),
        Command::Prune(arguments) => prune::run(arguments, data_dir),
    }
}
