//! `slipway approve`: lets a build go that waits for approval.

use crate::client::{Connection, build_id, print_json, shown};
use clap::Args;
use reqwest::Method;
use std::process::ExitCode;

/// Arguments of `slipway approve`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The build: its id, namespace/name#number, or namespace/name for the newest
    build: String,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let id = build_id(&api, &arguments.build)?;
    let answer = api.send(Method::POST, &format!("/v1/builds/{id}/approve"), (None, &[]))?.body;
    if arguments.connection.json {
        print_json(&answer);
    } else {
        println!("{id} is approved by {}", shown(&answer["approved_by"]));
    }
    Ok(ExitCode::SUCCESS)
}
