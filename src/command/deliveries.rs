//! `slipway deliveries`: deliveries of forges and their outcomes.

use super::status::{moment, table};
use crate::client::{Connection, encoded, print_json, read, repository_name};
use clap::Args;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::delivery::DeliveryList;

/// Arguments of `slipway deliveries`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only those for this repository: namespace/name
    #[arg(value_parser = repository_name)]
    repository: Option<String>,
    /// Only those that build something, or only those that build nothing
    #[arg(long, value_name = "accepted|ignored")]
    status: Option<String>,
    /// So many deliveries
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let mut path = format!("/v1/deliveries?limit={}", arguments.limit);
    for (key, value) in [("repo", &arguments.repository), ("status", &arguments.status)] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", encoded(value)));
        }
    }
    let answer = api.get(&path)?;
    let deliveries = read::<DeliveryList>(&answer)?.deliveries;
    if let Some(name) = arguments.repository.as_ref().filter(|_| deliveries.is_empty()) {
        // None for it, or no such repository?
        api.get(&format!("/v1/repos/{}", encoded(name)))?;
    }
    if arguments.connection.json {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = deliveries.iter().map(|delivery| {
        let outcome = match (&delivery.reason, delivery.builds.len()) {
            (Some(reason), _) => sanitize(reason).replace('_', " "),
            (None, 0) => sanitize(&delivery.status),
            (None, 1) => "1 build".to_owned(),
            (None, builds) => format!("{builds} builds"),
        };
        [
            delivery.id.to_string(),
            moment(delivery.received_at.as_deref()),
            sanitize(&delivery.repo),
            sanitize(&delivery.forge),
            sanitize(&delivery.event),
            outcome,
        ]
    });
    table(["DELIVERY", "RECEIVED (UTC)", "REPOSITORY", "FORGE", "EVENT", "OUTCOME"], rows.collect());
    Ok(ExitCode::SUCCESS)
}
