//! `slipway status`: the newest builds, or one build with its steps.

use crate::client::{Connection, build_id, encoded, print_json, repository_name, shown, warnings};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `slipway status`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A build, by its id or as namespace/name#number, or a repository whose builds are listed; all builds without it
    #[arg(value_name = "BUILD or REPOSITORY")]
    build: Option<String>,
    /// Only builds of this repository, as earlier versions took it
    #[arg(long, value_name = "REPOSITORY", hide = true, value_parser = repository_name)]
    repo: Option<String>,
    /// Only builds in this state
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// So many builds
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: u32,
    /// Wait for the end of the build; the exit code then is 3 if it failed
    #[arg(long, requires = "build")]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match &arguments.build {
        // The newest build of a repository is what somebody waits for.
        Some(name) if name.contains('/') && !name.contains('#') && !arguments.wait => list(arguments, Some(name)),
        Some(build) => show(arguments, build),
        None => list(arguments, arguments.repo.as_ref()),
    }
}

fn list(arguments: &Arguments, repository: Option<&String>) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let mut path = format!("/v1/builds?limit={}", arguments.limit);
    for (key, value) in [("repo", repository), ("state", arguments.state.as_ref())] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", encoded(value)));
        }
    }
    let answer = api.get(&path)?;
    if let Some(name) = repository.filter(|_| answer["builds"].as_array().is_none_or(Vec::is_empty)) {
        // No builds, or no such repository?
        api.get(&format!("/v1/repos/{}", encoded(name)))?;
    }
    if arguments.connection.json {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let builds = answer["builds"].as_array().cloned().unwrap_or_default();
    let rows = builds.iter().map(|build| {
        let name = format!("{}#{}", shown(&build["repo"]), build["number"]);
        let commit: String = shown(&build["commit"]).chars().take(7).collect();
        [name, shown(&build["state"]), short_ref(build), commit, moment(&build["created_at"]), shown(&build["id"])]
    });
    table(["BUILD", "STATE", "REF", "COMMIT", "ACCEPTED (UTC)", "ID"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn show(arguments: &Arguments, name: &str) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let id = build_id(&api, name)?;
    let mut build = api.get(&format!("/v1/builds/{id}"))?;
    while arguments.wait && build["finished_at"].is_null() {
        std::thread::sleep(std::time::Duration::from_millis(500));
        build = api.get(&format!("/v1/builds/{id}"))?;
    }
    if arguments.connection.json {
        print_json(&build);
    } else {
        print(&build);
    }
    let bad = arguments.wait && !super::logs::is_good(build["state"].as_str().unwrap_or_default());
    Ok(if bad { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn print(build: &Value) {
    println!("{}#{}  {}", shown(&build["repo"]), build["number"], shown(&build["state"]));
    println!("  ref     {} at {}", short_ref(build), shown(&build["commit"]));
    println!("  rule    {}, started by {}", shown(&build["rule"]), shown(&build["trigger"]["kind"]));
    for tag in build["tags"].as_array().into_iter().flatten() {
        println!("  tag     {}", shown(tag));
    }
    if let Some(digest) = build["image"]["digest"].as_str() {
        println!("  image   {digest}");
    }
    if let Some(used) = build["cpu_ms"].as_i64() {
        println!("  used    {:.1} s of processor time", used as f64 / 1000.0);
    }
    if build["queue"].is_object() {
        let eta = build["queue"]["eta_seconds"].as_i64().map(|seconds| format!(", done in about {seconds} s"));
        let waits = shown(&build["queue"]["waiting_for"]);
        let number = build["queue"]["position"].as_i64().map(|number| format!("number {number}, ")).unwrap_or_default();
        println!("  queue   {number}waits for {waits}{}", eta.unwrap_or_default());
    }
    if build["reason"].is_object() {
        println!("  reason  {}", shown(&build["reason"]["message"]).replace('\n', "\n          "));
    }
    warnings(build);
    let steps = build["steps"].as_array().cloned().unwrap_or_default();
    if !steps.is_empty() {
        let rows = steps.iter().map(|step| {
            let state = if step["cached"] == true { "cached".to_owned() } else { shown(&step["state"]) };
            let took =
                step["duration_ms"].as_i64().map(|ms| format!("{:.1} s", ms as f64 / 1000.0)).unwrap_or_default();
            let instruction: String = shown(&step["instruction"]).chars().take(80).collect();
            [step["n"].to_string(), state, took, instruction]
        });
        println!();
        table(["STEP", "STATE", "TOOK", "INSTRUCTION"], rows.collect());
    }
}

/// Returns a moment to the second, in UTC.
pub fn moment(value: &Value) -> String {
    let exact = shown(value);
    exact.get(..19).map_or_else(|| exact.clone(), |seconds| seconds.replace('T', " "))
}

/// Returns the short name of a build's branch or tag.
pub fn short_ref(build: &Value) -> String {
    let name = shown(&build["ref"]);
    name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).unwrap_or(&name).to_owned()
}

/// Prints rows in columns as wide as they need to be.
pub fn table<const COLUMNS: usize>(head: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) {
    let head = head.map(str::to_owned);
    let all: Vec<&[String; COLUMNS]> = std::iter::once(&head).chain(&rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    for row in &all {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
