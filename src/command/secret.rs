//! `slipway secret`: secrets of a repository; written, never read.

use crate::client::{Connection, encoded, print_json, repository_name};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;
use std::io::Read;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::repository::{SecretList, SecretWritten};

/// Arguments of `slipway secret`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a secret; its value is read from standard input
    Set(Named),
    /// List the names of a repository's secrets
    List(Of),
    /// Remove a secret
    Rm(Named),
}

#[derive(Debug, Args)]
struct Of {
    /// The repository: namespace/name
    #[arg(value_parser = repository_name)]
    repository: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Named {
    /// The repository: namespace/name
    #[arg(value_parser = repository_name)]
    repository: String,
    /// The secret
    name: String,
    #[command(flatten)]
    connection: Connection,
}

impl Named {
    fn path(&self) -> String {
        format!("/v1/repos/{}/secrets/{}", encoded(&self.repository), encoded(&self.name))
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match &arguments.command {
        Command::Set(named) => {
            let mut value = String::new();
            let read = std::io::stdin().read_to_string(&mut value);
            read.map_err(|error| format!("reading the secret from standard input: {error}"))?;
            let value = value.strip_suffix('\n').unwrap_or(&value);
            let answer =
                named.connection.open()?.send(Method::PUT, &named.path(), Some(&json!({ "value": value })), &[])?;
            let written: SecretWritten = crate::client::read(&answer.body)?;
            if let Some(warning) = written.warning {
                eprintln!("warning: {}", sanitize(&warning));
            }
        }
        Command::List(of) => {
            let answer = of.connection.open()?.get(&format!("/v1/repos/{}/secrets", encoded(&of.repository)))?;
            if of.connection.json {
                print_json(&answer);
            } else {
                let list: SecretList = crate::client::read(&answer)?;
                list.secrets.iter().for_each(|secret| println!("{}", sanitize(&secret.name)));
            }
        }
        Command::Rm(named) => drop(named.connection.open()?.send(Method::DELETE, &named.path(), None, &[])?),
    }
    Ok(ExitCode::SUCCESS)
}
