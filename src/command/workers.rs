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
        let rows = workers.iter().map(|worker| {
            let text = |text: &Option<String>| sanitize(text.as_deref().unwrap_or("-"));
            let state = if worker.drained { "drained" } else { "takes builds" };
            let free = worker.disk_free_bytes.map_or_else(|| "-".to_owned(), crate::hand::bytes);
            [
                sanitize(&worker.name),
                worker.slots.to_string(),
                state.to_owned(),
                text(&worker.version),
                text(&worker.platform),
                free,
            ]
        });
        table(["WORKER", "BUILDS AT ONCE", "STATE", "VERSION", "PLATFORM", "DISK FREE"], rows.collect());
    }
    Ok(if workers.is_empty() { ExitCode::from(3) } else { ExitCode::SUCCESS })
}
