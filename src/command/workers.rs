//! `slipway workers`: who builds.

use super::status::table;
use crate::client::{Connection, print_json, read};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::queue::QueueView;

/// Arguments of `slipway workers`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command; the exit code is 3 when nobody builds.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let answer = arguments.connection.open()?.get("/v1/queue")?;
    let workers = read::<QueueView>(&answer)?.workers;
    if arguments.connection.json {
        print_json(&json!({ "workers": workers }));
    } else {
        let rows = workers.iter().map(|worker| [sanitize(&worker.name), worker.slots.to_string()]);
        table(["WORKER", "BUILDS AT ONCE"], rows.collect());
    }
    Ok(if workers.is_empty() { ExitCode::from(3) } else { ExitCode::SUCCESS })
}
