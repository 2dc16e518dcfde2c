//! The commands of `slipway volume`, and which function runs each.

use super::{ls, rm};
use crate::hand::{Failure, Hand, told};
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway volume`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a volume
    Create(Create),
    /// List volumes
    #[command(alias = "list")]
    Ls(ls::Arguments),
    /// Show everything that is known of volumes
    Inspect(ls::Inspect),
    /// Remove volumes that no container has
    #[command(alias = "remove")]
    Rm(rm::Arguments),
    /// Remove all volumes that no container has
    Prune(rm::Prune),
}

/// Arguments of `slipway volume create`.
#[derive(Debug, Args)]
struct Create {
    /// Its name [default: 64 digits]
    name: Option<String>,
    /// Put a label on it
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// The driver; only local
    #[arg(short, long, value_name = "NAME", default_value = "local")]
    driver: String,
}

/// Runs the command.
pub(crate) fn run_group(arguments: Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match arguments.command {
        Command::Create(arguments) => create(&arguments, data_dir),
        Command::Ls(arguments) => ls::run(&arguments, data_dir),
        Command::Inspect(arguments) => ls::inspect(&arguments, data_dir),
        Command::Rm(arguments) => rm::run(&arguments, data_dir),
        Command::Prune(arguments) => rm::prune(&arguments, data_dir),
    }
}

fn create(arguments: &Create, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        if arguments.driver != "local" {
            return Err(Failure::from(container::Error::NotFound(format!(
                "create {}: error looking up volume plugin {1}: plugin \"{1}\" not found",
                arguments.name.as_deref().unwrap_or_default(),
                arguments.driver
            ))));
        }
        let split = |text: &String| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (text.clone(), String::new()),
        };
        let labels: BTreeMap<String, String> = arguments.labels.iter().map(split).collect();
        let volumes = Hand::open(data_dir)?.containers()?.volumes()?;
        let _lock = volumes.lock()?;
        println!("{}", volumes.create(arguments.name.as_deref().unwrap_or_default(), labels)?.name);
        Ok(ExitCode::SUCCESS)
    })
}
