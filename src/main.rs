//! slipway: turns a git push into a pushed image. Reads flags, wires the crates together, prints.
#![forbid(unsafe_code)]

mod client;
mod command;
mod configuration;
mod confine;
mod key;
mod listen;
mod progress;
mod services;
mod wire;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Turns a git push into a pushed image, on your own machines.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, about)]
struct Arguments {
    /// Where slipway keeps its state [default: /var/lib/slipway for root, the XDG data directory otherwise]
    #[arg(long, global = true, env = "SLIPWAY_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    // The sandbox is this program, started again inside its namespaces: nothing may happen before.
    runtime::enter_if_asked();
    builder::source::enter_if_asked();
    let arguments = Arguments::parse();
    match command::run(arguments.command, arguments.data_dir) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ERROR: {error}");
            ExitCode::FAILURE
        }
    }
}
