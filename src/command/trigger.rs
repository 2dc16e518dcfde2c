//! `slipway trigger`: starts builds without a push.

use super::logs;
use super::status::table;
use crate::client::{Connection, encoded, print_json, read, repository_name, warnings};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::trigger::{PlanView, TriggeredView};

/// Arguments of `slipway trigger`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The repository: namespace/name
    #[arg(value_parser = repository_name)]
    repository: String,
    /// Branch or tag [default: the default branch]
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// Full hash of the commit [default: the newest of the ref]
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// Only this rule; `all` for every rule
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// Tag of the image instead of the rule's
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Dockerfile instead of the rule's
    #[arg(long, value_name = "PATH")]
    dockerfile: Option<String>,
    /// Context instead of the rule's
    #[arg(long, value_name = "PATH")]
    context: Option<String>,
    /// Stage to build
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Build argument
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    build_args: Vec<String>,
    /// Secret of the repository that steps may mount
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// Platform
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<String>,
    /// Take nothing from the cache
    #[arg(long)]
    no_cache: bool,
    /// Push nothing
    #[arg(long)]
    no_push: bool,
    /// low, normal or high
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<String>,
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long the build may take: 30m
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Say what would be built, and which steps would come from the cache; build nothing
    #[arg(long)]
    dry_run: bool,
    /// Follow the log of the first build until it has ended
    #[arg(long, short)]
    follow: bool,
    /// Makes it safe to send the same again
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let path = format!("/v1/repos/{}/builds", encoded(&arguments.repository));
    let headers: Vec<_> = arguments.idempotency_key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
    let answer = api.send(Method::POST, &path, Some(&body(arguments)?), &headers)?.body;
    if arguments.dry_run {
        match arguments.connection.json {
            true => print_json(&answer),
            false => print_plan(&read(&answer)?),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let triggered: TriggeredView = read(&answer)?;
    if arguments.connection.json {
        print_json(&answer);
    } else {
        for build in &triggered.builds {
            let (id, repo) = (sanitize(&build.id), sanitize(&build.repo));
            println!("{id} {repo}#{} {}", build.number, tags(&build.tags));
            warnings(&build.warnings);
        }
        if triggered.pending.as_deref() == Some("rules") {
            println!("the repository's own rules are read first; `slipway status` shows its builds in a moment");
        }
    }
    match triggered.builds.first() {
        Some(build) if arguments.follow => logs::follow(&api, &build.id, None),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints the builds that would be queued, with the steps where a worker forecast them.
fn print_plan(plan: &PlanView) {
    for build in &plan.plan {
        println!("{} {}", sanitize(&build.rule), tags(&build.tags));
        warnings(&build.warnings);
        if let Some(failure) = &build.would_fail {
            println!("  would fail: {}", sanitize(&failure.message).trim_end().replace('\n', "\n  "));
        }
        if let Some(steps) = &build.steps {
            let rows = steps.iter().map(|step| {
                let instruction: String = sanitize(&step.instruction).chars().take(80).collect();
                [format!("  {}", step.n), sanitize(&step.would_be), sanitize(&step.stage), instruction]
            });
            table(["  STEP", "WOULD BE", "STAGE", "INSTRUCTION"], rows.collect());
        }
    }
    if let Some(note) = &plan.note {
        eprintln!("note: {}", sanitize(note));
    }
}

fn tags(tags: &[String]) -> String {
    tags.iter().map(|tag| sanitize(tag)).collect::<Vec<_>>().join(" ")
}

/// Returns what is asked for; what was not given is left out, so that the rule's values stay.
fn body(arguments: &Arguments) -> Result<Value, String> {
    let mut body = Map::new();
    let texts = [
        ("ref", &arguments.git_ref),
        ("commit", &arguments.commit),
        ("dockerfile", &arguments.dockerfile),
        ("context", &arguments.context),
        ("target", &arguments.target),
        ("priority", &arguments.priority),
        ("reason", &arguments.reason),
        ("timeout", &arguments.timeout),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            body.insert(key.to_owned(), json!(text));
        }
    }
    for (key, list) in [("tags", &arguments.tags), ("secrets", &arguments.secrets), ("platforms", &arguments.platforms)]
    {
        if !list.is_empty() {
            body.insert(key.to_owned(), json!(list));
        }
    }
    match arguments.rule.as_slice() {
        [] => {}
        [one] => drop(body.insert("rule".to_owned(), json!(one))),
        several => drop(body.insert("rule".to_owned(), json!(several))),
    }
    let mut build_args = Map::new();
    for text in &arguments.build_args {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("--build-arg `{text}` is not NAME=VALUE"))?;
        build_args.insert(name.to_owned(), json!(value));
    }
    if !build_args.is_empty() {
        body.insert("build_args".to_owned(), build_args.into());
    }
    if arguments.no_cache {
        body.insert("cache".to_owned(), json!("off"));
    }
    for (key, given, value) in [("push", arguments.no_push, false), ("dry_run", arguments.dry_run, true)] {
        if given {
            body.insert(key.to_owned(), json!(value));
        }
    }
    Ok(body.into())
}
