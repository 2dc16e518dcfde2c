//! slipway: turns a git push into a pushed image. Reads flags, wires the crates together, prints.
#![forbid(unsafe_code)]

mod boot;
mod client;
mod command;
mod configuration;
mod confine;
mod hand;
mod instance;
mod key;
mod listen;
mod posts;
mod progress;
mod reserve;
mod sanitize;
mod services;
mod signals;
mod wire;
mod workers;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code of a program that was ended because nobody reads its output: 128 and the number of the signal.
const NOBODY_READS: i32 = 141;

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
    end_quietly_when_nobody_reads();
    let arguments = Arguments::parse();
    match command::run(arguments.command, arguments.data_dir) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ERROR: {}", sanitize::sanitize(&database::redact(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Ends the program as other tools end when what reads their output goes away, as `head` does; no mistake is reported.
fn end_quietly_when_nobody_reads() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if message.starts_with("failed printing to std") && message.contains("os error 32") {
            end_as_nobody_reads();
        }
        report(panic);
    }));
}

/// Ends the program because nobody reads its output any more.
fn end_as_nobody_reads() -> ! {
    std::process::exit(NOBODY_READS)
}
