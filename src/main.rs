//! slipway: turns a git push into a pushed image. Reads flags, wires the crates together, prints.
#![forbid(unsafe_code)]

mod client;
mod clock;
mod command;
mod configuration;
mod hand;
mod http;
mod logging;
mod progress;
mod registry_images;
mod sandbox;
mod signals;
mod state;
mod stored_logins;
mod terminal;
mod workers;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code of a program whose output pipe was closed: 128 and the number of SIGPIPE.
const BROKEN_PIPE: i32 = 141;

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
    builder::git::enter_if_asked();
    exit_quietly_on_broken_pipe();
    command::completion::answer_if_asked();
    let arguments = Arguments::parse();
    match command::run(arguments.command, arguments.data_dir) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ERROR: {}", webhook::sanitize(&database::redact(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Makes the program exit as other tools do when the reader of their output goes away, as `head` does: without an error.
fn exit_quietly_on_broken_pipe() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if message.starts_with("failed printing to std") && message.contains("os error 32") {
            exit_on_broken_pipe();
        }
        report(panic);
    }));
}

/// Exits because the reader of the output is gone.
fn exit_on_broken_pipe() -> ! {
    std::process::exit(BROKEN_PIPE)
}
