//! `slipway ps`: the containers that run, or all.

use crate::hand::{Failure, Format, Hand, ago, bytes, now, short_time, told};
use clap::Args;
use container::{Container, Error, Status};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Arguments of `slipway ps`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Show also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Only containers for which this holds: id=, name=, status=, label=, ancestor=, exited=
    #[arg(short, long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
    /// How to print: table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the newest, whatever its state
    #[arg(short, long)]
    latest: bool,
    /// Show so many of the newest, whatever their state
    #[arg(short = 'n', long = "last", value_name = "NUMBER")]
    last: Option<usize>,
    /// Show ids and commands whole
    #[arg(long)]
    no_trunc: bool,
    /// Show only ids
    #[arg(short, long)]
    quiet: bool,
    /// Show what each container has on disk besides its image
    #[arg(short, long)]
    size: bool,
}

const COLUMNS: [(&str, &str); 7] = [
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
];
const HEADINGS: [(&str, &str); 4] =
    [("Size", "SIZE"), ("CreatedAt", "CREATED AT"), ("State", "STATE"), ("Labels", "LABELS")];
/// Words of docker for the state of a container.
const STATUSES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
/// Characters of a command that are shown.
const SHOWN: usize = 20;

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let format = Format::parse(arguments.format.as_deref())?;
        let hand = Hand::open(data_dir)?;
        let mut found = hand.containers()?.list()?;
        let last = arguments.last.or(arguments.latest.then_some(1));
        for filter in &arguments.filters {
            let matches = matcher(filter)?;
            found.retain(|container| matches(container));
        }
        let asks_for_state =
            arguments.filters.iter().any(|filter| filter.starts_with("status=") || filter.starts_with("exited="));
        if !arguments.all && last.is_none() && !asks_for_state {
            found.retain(Container::is_running);
        }
        found.truncate(last.unwrap_or(usize::MAX));
        let mut rows: Vec<Value> = found.iter().map(|container| row(container, arguments.no_trunc)).collect();
        let asks_for_size = arguments.size || arguments.format.as_deref().is_some_and(|text| text.contains(".Size"));
        if asks_for_size && !arguments.quiet {
            add_sizes(&hand, &found, &mut rows)?;
        }
        let mut columns = COLUMNS.to_vec();
        columns.extend(arguments.size.then_some(("Size", "SIZE")));
        match arguments.quiet {
            true => rows.iter().for_each(|row| println!("{}", row["ID"].as_str().unwrap_or_default())),
            false => format.print(&columns, &HEADINGS, &rows)?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Tells whether a container passes a filter.
type Matcher<'t> = Box<dyn Fn(&Container) -> bool + 't>;

/// Reads a filter.
fn matcher(text: &str) -> Result<Matcher<'_>, Failure> {
    let wrong = || Failure::from(format!("invalid filter '{text}'"));
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    Ok(match name {
        "id" => Box::new(move |container| container.record.id.starts_with(value)),
        "name" => {
            // A pattern that is none fits only the name itself, as in docker.
            let pattern = regex::Regex::new(value.strip_prefix('/').unwrap_or(value)).ok();
            Box::new(move |container| {
                let name = &container.record.name;
                name == value || pattern.as_ref().is_some_and(|pattern| pattern.is_match(name))
            })
        }
        "status" if !STATUSES.contains(&value) => {
            return Err(Error::Invalid(format!("invalid filter 'status={value}'")).into());
        }
        "status" => Box::new(move |container| container.state.status.as_str() == value),
        "exited" => {
            let code: i32 = value.parse().map_err(|_| wrong())?;
            Box::new(move |container| container.state.status == Status::Exited && container.state.exit_code == code)
        }
        "ancestor" => Box::new(move |container| {
            container.record.image_name == value || container.record.image.hex().starts_with(value)
        }),
        "label" => Box::new(move |container| match value.split_once('=') {
            Some((key, value)) => container.record.config.labels.get(key).is_some_and(|found| found == value),
            None => container.record.config.labels.contains_key(value),
        }),
        _ => return Err(wrong()),
    })
}

/// Adds what containers have on disk, and with their images.
fn add_sizes(hand: &Hand, containers: &[Container], rows: &mut [Value]) -> Result<(), Failure> {
    if containers.is_empty() {
        return Ok(());
    }
    let sandbox = hand.sandbox_for("ps")?;
    for (container, row) in containers.iter().zip(rows) {
        let id = runtime::ContainerId::new(&container.record.id).map_err(Error::from)?;
        let own = sandbox.container_bytes(&id).map_err(Error::from)?;
        let layers = hand.store.closure(&container.record.manifest);
        let image: u64 = layers.iter().filter_map(|digest| hand.store.size(digest)).sum();
        row["Size"] = format!("{} (virtual {})", bytes(own), bytes(own + image)).into();
    }
    Ok(())
}

fn seconds(time: Option<&str>) -> i64 {
    let time = time.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    time.map_or(0, OffsetDateTime::unix_timestamp)
}

/// Returns docker's words for the state.
pub(crate) fn status(container: &Container) -> String {
    let state = &container.state;
    let since = |time: &Option<String>| ago(now() - seconds(time.as_deref()));
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}", since(&state.started_at)),
        Status::Paused => format!("Up {} (Paused)", since(&state.started_at)),
        Status::Exited if state.finished_at.is_none() => format!("Exited ({}) {}", state.exit_code, state.error),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(&state.finished_at)),
    }
}

fn row(container: &Container, whole: bool) -> Value {
    let record = &container.record;
    let mut command = record.argv.join(" ");
    if !whole && command.chars().count() > SHOWN {
        command = command.chars().take(SHOWN - 1).chain(['…']).collect();
    }
    let created = seconds(Some(&record.created));
    let ports: Vec<String> = match container.is_running() {
        true => container
            .state
            .ports
            .iter()
            .map(|port| format!("127.0.0.1:{}->{}/tcp", port.host, port.container))
            .collect(),
        false => Vec::new(),
    };
    let labels: Vec<String> = record.config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    json!({
        "ID": if whole { record.id.as_str() } else { container.short_id() },
        "Image": record.image_name,
        "Command": format!("\"{command}\""),
        "RunningFor": format!("{} ago", ago(now() - created)),
        "CreatedAt": short_time(created),
        "Status": status(container),
        "State": container.state.status.as_str(),
        "Ports": ports.join(", "),
        "Names": record.name,
        "Labels": labels.join(","),
        "Networks": if record.no_network { "none" } else { "default" },
    })
}
