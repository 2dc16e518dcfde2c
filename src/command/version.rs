//! `slipway version`: which slipway this is, and which one the server is.

use crate::client::{Connection, print_json, read};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::service::VersionView;

/// Arguments of `slipway version`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command; a server that is not there is not an error.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let client = env!("CARGO_PKG_VERSION");
    let server = arguments.connection.open()?.get("/v1/version").and_then(|answer| read::<VersionView>(&answer)).ok();
    if arguments.connection.json {
        print_json(&json!({ "client": client, "server": server.map(|server| server.version) }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("client  {client}");
    let server = server.map_or_else(|| "not reached".to_owned(), |server| sanitize(&server.version));
    println!("server  {server}");
    Ok(ExitCode::SUCCESS)
}
