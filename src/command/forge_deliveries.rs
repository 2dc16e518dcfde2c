//! `slipway repo deliveries`: what a forge says of a repository's webhook, and deliveries that it is asked to send again.

use super::status::{moment, table};
use crate::client::{Connection, encoded, print_json, read, repository_name};
use clap::Args;
use reqwest::Method;
use serde_json::json;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::forge_delivery::{ForgeDeliveriesView, RedeliveredView};

/// Arguments of `slipway repo deliveries`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// namespace/name
    #[arg(value_parser = repository_name)]
    name: String,
    /// Only those that the server never took
    #[arg(long)]
    failed: bool,
    /// Have the forge send these again, by its ids; all that failed, if none is named
    #[arg(long, value_name = "DELIVERY", num_args = 0.., conflicts_with = "failed")]
    redeliver: Option<Vec<String>>,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match &arguments.redeliver {
        Some(deliveries) => redeliver(arguments, deliveries),
        None => list(arguments),
    }
}

fn list(arguments: &Arguments) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let mut answer = api.get(&format!("/v1/repos/{}/forge-deliveries", encoded(&arguments.name)))?;
    let told: ForgeDeliveriesView = read(&answer)?;
    let shown: Vec<_> = told.deliveries.iter().filter(|delivery| delivery.failed || !arguments.failed).collect();
    if arguments.connection.json {
        answer["deliveries"] = json!(shown);
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    for fault in &told.faults {
        eprintln!("{}: {}", sanitize(&told.forge), sanitize(fault));
    }
    if !told.faults.is_empty() && told.hook.as_deref() != Some("app") {
        eprintln!("`slipway repo connect {}` mends it", arguments.name);
    }
    if let Some(limits) = &told.limits {
        eprintln!("{}", sanitize(limits));
    }
    let rows = shown.iter().map(|delivery| {
        let failed = if delivery.failed { "failed" } else { "" };
        [
            sanitize(&delivery.id),
            moment(delivery.at.as_deref()),
            sanitize(&delivery.event),
            sanitize(&delivery.answer),
            failed.to_owned(),
        ]
    });
    table(["DELIVERY", "SENT (UTC)", "EVENT", "ANSWER", ""], rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn redeliver(arguments: &Arguments, deliveries: &[String]) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let path = format!("/v1/repos/{}/forge-deliveries/redeliver", encoded(&arguments.name));
    let answer = api.send(Method::POST, &path, Some(&json!({ "deliveries": deliveries })), &[])?;
    let done: RedeliveredView = read(&answer.body)?;
    if arguments.connection.json {
        print_json(&answer.body);
    } else {
        println!("{} delivers {} again", sanitize(&done.forge), done.redelivered.len());
        for refused in &done.refused {
            eprintln!("not {}: {}", sanitize(&refused.id), sanitize(&refused.problem));
        }
    }
    Ok(if done.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
