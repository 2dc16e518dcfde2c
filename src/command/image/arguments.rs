//! The commands of `slipway image`, and which function runs each.

use super::{archive, history, import, inspect, ls, prune, pull, push, rm, tag};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway image`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List images
    #[command(alias = "list")]
    Ls(ls::Arguments),
    /// Remove images
    #[command(alias = "remove")]
    Rm(rm::Arguments),
    /// Give an image another name
    Tag(tag::Arguments),
    /// Show everything that is known of images
    Inspect(inspect::Arguments),
    /// Show how an image was made
    History(history::Arguments),
    /// Get an image from a registry
    Pull(pull::Arguments),
    /// Send an image to a registry
    Push(push::Arguments),
    /// Write images as an archive
    Save(archive::Save),
    /// Take the images of an archive in
    Load(archive::Load),
    /// Make an image of a tar of files
    Import(import::Arguments),
    /// Remove images that nobody uses
    Prune(prune::Arguments),
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match &arguments.command {
        Command::Ls(arguments) => ls::run(arguments, data_dir),
        Command::Rm(arguments) => rm::run(arguments, data_dir),
        Command::Tag(arguments) => tag::run(arguments, data_dir),
        Command::Inspect(arguments) => inspect::run(arguments, data_dir, inspect::Kind::Image),
        Command::History(arguments) => history::run(arguments, data_dir),
        Command::Pull(arguments) => pull::run(arguments, data_dir),
        Command::Push(arguments) => push::run(arguments, data_dir),
        Command::Save(arguments) => archive::save(arguments, data_dir),
        Command::Load(arguments) => archive::load(arguments, data_dir),
        Command::Import(arguments) => import::run(arguments, data_dir),
        Command::Prune(arguments) => prune::run(arguments, data_dir),
    }
}
