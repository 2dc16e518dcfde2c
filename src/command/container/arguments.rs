//! The commands of `slipway container`, and which function runs each.

use super::{commit, cp, exec, ps, rm, run, start, stats, stop};
use crate::command::image::inspect;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway container`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a command in a new container
    Run(Box<run::Arguments>),
    /// Make a container without starting it
    Create(Box<run::Arguments>),
    /// List containers
    #[command(alias = "list", alias = "ps")]
    Ls(ps::Arguments),
    /// Start containers that have ended
    Start(start::Arguments),
    /// Ask containers to end, and end those that do not
    Stop(stop::Stop),
    /// Send a signal to containers
    Kill(stop::Kill),
    /// Wait for the end of containers and print their exit codes
    Wait(stop::Names),
    /// Remove containers
    #[command(alias = "remove")]
    Rm(rm::Arguments),
    /// Run a command in a container that runs
    Exec(exec::Arguments),
    /// Print what a container printed
    Logs(start::Logs),
    /// Print what a container prints, and type to it
    Attach(start::Attach),
    /// Start containers again
    Restart(stop::Stop),
    /// Stop the processes of containers where they are
    Pause(stop::Names),
    /// Let the processes of containers go on
    Unpause(stop::Names),
    /// Give a container another name
    Rename(rm::Rename),
    /// Show everything that is known of containers
    Inspect(inspect::Arguments),
    /// List the processes of a container
    Top(exec::Top),
    /// Copy files between a container and this machine
    Cp(cp::Arguments),
    /// Show which resources containers use
    Stats(stats::Arguments),
    /// Make an image of what a container changed
    Commit(commit::Arguments),
    /// List what a container changed
    Diff(commit::Diff),
    /// Write all files of a container as a tar
    Export(commit::Export),
    /// Remove containers that have ended
    Prune(rm::Prune),
}

/// Runs the command.
pub(crate) fn run_group(arguments: Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match arguments.command {
        Command::Run(arguments) => run::run(&arguments, data_dir),
        Command::Create(arguments) => run::create(&arguments, data_dir),
        Command::Ls(arguments) => ps::run(&arguments, data_dir),
        Command::Start(arguments) => start::run(&arguments, data_dir),
        Command::Stop(arguments) => stop::stop(&arguments, data_dir),
        Command::Kill(arguments) => stop::kill(&arguments, data_dir),
        Command::Wait(arguments) => stop::wait(&arguments, data_dir),
        Command::Rm(arguments) => rm::run(&arguments, data_dir),
        Command::Exec(arguments) => exec::run(&arguments, data_dir),
        Command::Logs(arguments) => start::logs(&arguments, data_dir),
        Command::Attach(arguments) => start::attach(&arguments, data_dir),
        Command::Restart(arguments) => stop::restart(&arguments, data_dir),
        Command::Pause(arguments) => stop::freeze(&arguments, data_dir, true),
        Command::Unpause(arguments) => stop::freeze(&arguments, data_dir, false),
        Command::Rename(arguments) => rm::rename(&arguments, data_dir),
        Command::Inspect(arguments) => inspect::run(&arguments, data_dir, inspect::Kind::Container),
        Command::Top(arguments) => exec::top(&arguments, data_dir),
        Command::Cp(arguments) => cp::run(&arguments, data_dir),
        Command::Stats(arguments) => stats::run(&arguments, data_dir),
        Command::Commit(arguments) => commit::run(&arguments, data_dir),
        Command::Diff(arguments) => commit::diff(&arguments, data_dir),
        Command::Export(arguments) => commit::export(&arguments, data_dir),
        Command::Prune(arguments) => rm::prune(&arguments, data_dir),
    }
}
