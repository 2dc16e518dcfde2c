//! `slipway queue`: what waits, for what, and how long; pausing and resuming it.

use super::status::{short_ref, table};
use crate::client::{Connection, print_json, read};
use clap::{Args, Subcommand};
use reqwest::Method;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::queue::{PausedView, QueueView};

/// Arguments of `slipway queue`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give out no more builds; those that run go on
    Pause(Switch),
    /// Give out builds again
    Resume(Switch),
}

#[derive(Debug, Args)]
struct Switch {
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match &arguments.command {
        None => show(&arguments.connection),
        Some(Command::Pause(switch)) => turn(&switch.connection, "pause"),
        Some(Command::Resume(switch)) => turn(&switch.connection, "resume"),
    }
}

fn turn(connection: &Connection, what: &str) -> Result<ExitCode, String> {
    let answer = connection.open()?.send(Method::POST, &format!("/v1/queue/{what}"), None, &[])?.body;
    if connection.json {
        print_json(&answer);
    } else {
        let queue: PausedView = read(&answer)?;
        println!("the queue is {}", if queue.paused { "paused" } else { "not paused" });
    }
    Ok(ExitCode::SUCCESS)
}

fn show(connection: &Connection) -> Result<ExitCode, String> {
    let answer = connection.open()?.get("/v1/queue")?;
    if connection.json {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let queue: QueueView = read(&answer)?;
    if queue.paused {
        println!("the queue is paused: `slipway queue resume` goes on");
    }
    let rows = queue.builds.iter().map(|build| {
        let place = &build.place;
        let position = place.position.map(|position| position.to_string()).unwrap_or_default();
        [
            position,
            sanitize(&build.repo),
            short_ref(&build.git_ref),
            sanitize(&place.waiting_for).replace('_', " "),
            seconds(place.starts_in_seconds),
            seconds(place.eta_seconds),
            sanitize(&build.id),
        ]
    });
    table(["PLACE", "REPOSITORY", "REF", "WAITS FOR", "STARTS IN", "DONE IN", "ID"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

/// Returns an estimate, or nothing where there is none.
fn seconds(estimate: Option<i64>) -> String {
    estimate.map(|seconds| format!("{seconds} s")).unwrap_or_default()
}
