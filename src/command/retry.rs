//! `slipway retry`: builds once more what has ended.

use super::logs;
use crate::client::{Connection, build_id, print_json, read};
use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::json;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::build::BuildView;

/// Arguments of `slipway retry`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The build: its id, namespace/name#number, or namespace/name for the newest
    build: String,
    /// Where to begin: with nothing from the cache, or with the step that failed
    #[arg(long, value_enum, default_value_t = From::FailedStep)]
    from: From,
    /// Follow the new build's log until it has ended
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum From {
    Start,
    FailedStep,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let id = build_id(&api, &arguments.build)?;
    let from = match arguments.from {
        From::Start => "start",
        From::FailedStep => "failed_step",
    };
    let answer = api.send(Method::POST, &format!("/v1/builds/{id}/retry"), Some(&json!({ "from": from })), &[])?.body;
    let build: BuildView = read(&answer)?;
    if arguments.connection.json {
        print_json(&answer);
    } else {
        println!("{} {}#{} repeats {id}", sanitize(&build.id), sanitize(&build.repo), build.number);
    }
    if arguments.follow { logs::follow(&api, &build.id, None) } else { Ok(ExitCode::SUCCESS) }
}
