//! `slipway queue`: what waits, for what, and how long; pausing and resuming it.

use super::status::{short_ref, table};
use crate::client::{Connection, print_json, shown};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `slipway queue`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
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
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
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
        println!("the queue is {}", if answer["paused"] == true { "paused" } else { "not paused" });
    }
    Ok(ExitCode::SUCCESS)
}

fn show(connection: &Connection) -> Result<ExitCode, String> {
    let answer = connection.open()?.get("/v1/queue")?;
    if connection.json {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    if answer["paused"] == true {
        println!("the queue is paused: `slipway queue resume` goes on");
    }
    let rows = answer["builds"].as_array().into_iter().flatten().map(|build| {
        let position = build["position"].as_i64().map(|position| position.to_string()).unwrap_or_default();
        [
            position,
            shown(&build["repo"]),
            short_ref(build),
            shown(&build["waiting_for"]).replace('_', " "),
            seconds(&build["starts_in_seconds"]),
            seconds(&build["eta_seconds"]),
            shown(&build["id"]),
        ]
    });
    table(["PLACE", "REPOSITORY", "REF", "WAITS FOR", "STARTS IN", "DONE IN", "ID"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

/// Returns an estimate, or nothing where there is none.
fn seconds(value: &Value) -> String {
    value.as_i64().map(|seconds| format!("{seconds} s")).unwrap_or_default()
}
