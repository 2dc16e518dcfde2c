//! `slipway rollback`: gives the tags of an earlier build its image again.

use super::logs;
use crate::client::{Connection, build_id, print_json, read};
use clap::Args;
use reqwest::Method;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::build::BuildView;

/// Arguments of `slipway rollback`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The build whose image is wanted again: its id, or namespace/name#number
    build: String,
    /// Follow the rollback until it has ended
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let id = build_id(&api, &arguments.build)?;
    let answer = api.send(Method::POST, &format!("/v1/builds/{id}/rollback"), None, &[])?.body;
    let build: BuildView = read(&answer)?;
    if arguments.connection.json {
        print_json(&answer);
    } else {
        let [new, repo] = [&build.id, &build.repo].map(|text| sanitize(text));
        println!("{new} {repo}#{} goes back to the image of {id}", build.number);
    }
    if arguments.follow { logs::follow(&api, &build.id, None) } else { Ok(ExitCode::SUCCESS) }
}
