//! The commands of the command line, and which function runs each.

use super::{
    approve, build, cancel, check, deliveries, explain, logs, queue, registry, repo, retry, rules, secret, serve,
    status, token, trigger, version, worker, workers,
};
use crate::client::OneBuild;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a directory or a git URL
    Build(Box<build::Arguments>),
    /// Check a Dockerfile without building it
    Check(check::Arguments),
    /// Receive webhooks, serve the API, the pages and the registry, and build
    Serve(serve::Arguments),
    /// Run queued builds of a server
    Worker(worker::Arguments),
    /// Manage the repositories of a server
    Repo(repo::Arguments),
    /// Start builds without a push
    Trigger(Box<trigger::Arguments>),
    /// List builds, or show one
    Status(status::Arguments),
    /// List the deliveries of forges, and their outcome
    Deliveries(deliveries::Arguments),
    /// Show the queue and what each build waits for; pause and resume it
    Queue(queue::Arguments),
    /// List the workers
    Workers(workers::Arguments),
    /// Print a build's log
    Logs(logs::Arguments),
    /// Explain why the steps of a build were executed or taken from the cache
    Explain(explain::Arguments),
    /// Approve the build of a fork's pull request
    Approve(OneBuild),
    /// End a build
    Cancel(OneBuild),
    /// Build again a build that has ended
    Retry(retry::Arguments),
    /// Try the rules of a repository
    Rules(rules::Arguments),
    /// Manage a repository's secrets
    Secret(secret::Arguments),
    /// Create, list and revoke tokens of the API
    Token(token::Arguments),
    /// Manage accounts and rights of the embedded registry
    Registry(registry::Arguments),
    /// Print the versions of this program and of the server
    Version(version::Arguments),
}

/// Runs `command`.
pub fn run(command: Command, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    match command {
        Command::Build(arguments) => build::run(&arguments, data_dir),
        Command::Check(arguments) => check::run(&arguments, data_dir),
        Command::Serve(arguments) => serve::run(&arguments, data_dir),
        Command::Worker(arguments) => worker::run(&arguments, data_dir),
        Command::Repo(arguments) => repo::run(&arguments),
        Command::Trigger(arguments) => trigger::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Deliveries(arguments) => deliveries::run(&arguments),
        Command::Queue(arguments) => queue::run(&arguments),
        Command::Workers(arguments) => workers::run(&arguments),
        Command::Version(arguments) => version::run(&arguments),
        Command::Logs(arguments) => logs::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Approve(arguments) => approve::run(&arguments),
        Command::Cancel(arguments) => cancel::run(&arguments),
        Command::Retry(arguments) => retry::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Secret(arguments) => secret::run(&arguments),
        Command::Token(arguments) => token::run(&arguments, data_dir),
        Command::Registry(arguments) => registry::run(&arguments, data_dir),
    }
}
