//! `slipway rules test`: which rules match a ref, which tags result, and why others do not.

use super::status::shown;
use crate::client::{Connection, encoded, print_json, read, repository_name};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::rules::RulesTestView;

/// Arguments of `slipway rules`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which rules match a ref, without building
    Test(Test),
}

/// Arguments of `slipway rules test`.
#[derive(Debug, Args)]
struct Test {
    /// The repository, namespace/name, and a branch or tag: main, v1.2.3, refs/tags/v1.2.3
    #[arg(value_names = ["REPOSITORY", "REF"], num_args = 1..=2, required = true)]
    names: Vec<String>,
    /// The repository, as earlier versions took it
    #[arg(long, value_name = "REPOSITORY", hide = true)]
    repo: Option<String>,
    /// Rules of this file instead of the server's: a repository's own slipway.toml
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Full hash of the commit, for {sha} and {sha7}
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// The commit's message, for markers such as [skip ci]
    #[arg(long, value_name = "TEXT", default_value = "")]
    message: String,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command; the exit code is 3 when nothing would be built.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let Command::Test(test) = &arguments.command;
    let (repository, git_ref) = test.names()?;
    let api = test.connection.open()?;
    let file = test.file.as_ref().map(|path| {
        std::fs::read_to_string(path).map_err(|error| format!("reading the rules `{}`: {error}", path.display()))
    });
    let mut body = json!({ "ref": git_ref, "message": test.message });
    if let Some(text) = file.transpose()? {
        body["file"] = text.into();
    }
    if let Some(commit) = &test.commit {
        body["commit"] = commit.as_str().into();
    }
    let path = format!("/v1/repos/{}/rules:test", encoded(&repository));
    let answer = api.send(Method::POST, &path, Some(&body), &[])?.body;
    let tested: RulesTestView = read(&answer)?;
    if test.connection.json {
        print_json(&answer);
    } else {
        print(&tested);
    }
    Ok(if tested.would_build { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

impl Test {
    /// Returns the repository and the ref.
    fn names(&self) -> Result<(String, &str), String> {
        let (repository, git_ref) = match (&self.repo, self.names.as_slice()) {
            (Some(repository), [git_ref]) => (repository, git_ref),
            (None, [repository, git_ref]) => (repository, git_ref),
            (None, _) => return Err("say which repository and which ref: `slipway rules test REPOSITORY REF`".into()),
            (Some(_), _) => return Err("the repository is named twice: leave `--repo` out".into()),
        };
        Ok((repository_name(repository)?, git_ref))
    }
}

fn print(tested: &RulesTestView) {
    println!("{}", sanitize(&tested.git_ref));
    for rule in &tested.rules {
        if rule.matches {
            println!("  + {} builds {} as", sanitize(&rule.rule), shown(rule.dockerfile.as_deref()));
            for tag in rule.tags.iter().flatten() {
                let image = rule.image.as_ref().unwrap_or(&tested.image);
                println!("      {}:{}", sanitize(image), sanitize(tag));
            }
            for warning in rule.warnings.iter().flatten() {
                println!("      warning: {}", sanitize(warning));
            }
        } else {
            println!("  - {}", shown(rule.why.as_deref()));
        }
    }
    if let Some(marker) = &tested.skip_marker {
        println!("nothing is built: the message says {}", sanitize(marker));
    }
}
