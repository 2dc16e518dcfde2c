//! `slipway status`: the newest builds, or one build with its steps.

use crate::client::{Connection, build_id, encoded, print_json, read, repository_name, warnings};
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;
use webhook::sanitize;
use webhook::view::build::{BuildDetails, BuildList, StepView};

/// How often the server is asked for the end of a build.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Arguments of `slipway status`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
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
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
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
    let list: BuildList = read(&answer)?;
    if let Some(name) = repository.filter(|_| list.builds.is_empty()) {
        // No builds, or no such repository?
        api.get(&format!("/v1/repos/{}", encoded(name)))?;
    }
    if arguments.connection.json {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = list.builds.iter().map(|build| {
        let name = format!("{}#{}", sanitize(&build.repo), build.number);
        let commit: String = shown(build.commit.as_deref()).chars().take(7).collect();
        let accepted = moment(build.created_at.as_deref());
        [name, sanitize(&build.state), short_ref(&build.git_ref), commit, accepted, sanitize(&build.id)]
    });
    table(["BUILD", "STATE", "REF", "COMMIT", "ACCEPTED (UTC)", "ID"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn show(arguments: &Arguments, name: &str) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let id = build_id(&api, name)?;
    let path = format!("/v1/builds/{id}");
    let mut answer = api.get(&path)?;
    let mut details: BuildDetails = read(&answer)?;
    while arguments.wait && details.build.finished_at.is_none() {
        std::thread::sleep(POLL_INTERVAL);
        answer = api.get(&path)?;
        details = read(&answer)?;
    }
    if arguments.connection.json {
        print_json(&answer);
    } else {
        print(&details);
    }
    let bad = arguments.wait && !super::logs::is_good(&details.build.state);
    Ok(if bad { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn print(details: &BuildDetails) {
    let build = &details.build;
    println!("{}#{}  {}", sanitize(&build.repo), build.number, sanitize(&build.state));
    println!("  ref     {} at {}", short_ref(&build.git_ref), shown(build.commit.as_deref()));
    println!("  rule    {}, started by {}", sanitize(&build.rule), build.trigger.kind.as_str());
    for tag in &build.tags {
        println!("  tag     {}", sanitize(tag));
    }
    if let Some(image) = &build.image {
        println!("  image   {}", sanitize(&image.digest));
    }
    if let Some(used) = details.cpu_ms {
        println!("  used    {:.1} s of processor time", used as f64 / 1000.0);
    }
    if let Some(place) = &details.queue {
        let eta = place.eta_seconds.map(|seconds| format!(", done in about {seconds} s"));
        let number = place.position.map(|number| format!("number {number}, ")).unwrap_or_default();
        println!("  queue   {number}waits for {}{}", sanitize(&place.waiting_for), eta.unwrap_or_default());
    }
    if let Some(reason) = &build.reason {
        println!("  reason  {}", sanitize(&reason.message).replace('\n', "\n          "));
    }
    warnings(&build.warnings);
    if !details.steps.is_empty() {
        println!();
        table(["STEP", "STATE", "TOOK", "INSTRUCTION"], details.steps.iter().map(row).collect());
    }
}

fn row(step: &StepView) -> [String; 4] {
    let state = if step.cached { "cached".to_owned() } else { sanitize(&step.state) };
    let took = step.duration_ms.map(|ms| format!("{:.1} s", ms as f64 / 1000.0)).unwrap_or_default();
    let instruction: String = sanitize(&step.instruction).chars().take(80).collect();
    [step.n.to_string(), state, took, instruction]
}

/// Returns a text that may be missing, as a terminal may show it.
pub(crate) fn shown(text: Option<&str>) -> String {
    text.map(sanitize).unwrap_or_default()
}

/// Returns a moment to the second, in UTC.
pub(crate) fn moment(exact: Option<&str>) -> String {
    let exact = shown(exact);
    exact.get(..19).map_or_else(|| exact.clone(), |seconds| seconds.replace('T', " "))
}

/// Returns the short name of a branch or tag.
pub(crate) fn short_ref(git_ref: &str) -> String {
    let name = sanitize(git_ref);
    name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).unwrap_or(&name).to_owned()
}

/// Prints rows in columns as wide as they need to be.
pub(crate) fn table<const COLUMNS: usize>(head: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) {
    let head = head.map(str::to_owned);
    let all: Vec<&[String; COLUMNS]> = std::iter::once(&head).chain(&rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    for row in &all {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
