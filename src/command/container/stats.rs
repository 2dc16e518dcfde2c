//! `slipway stats`: the resources that containers use, again and again or once.

use crate::hand::{Failure, Format, Hand, binary_bytes, bytes, told};
use clap::Args;
use container::{Client, Container, Containers, Request};
use runtime::Usage;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Clears the screen of a terminal.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Arguments of `slipway stats`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names or ids of containers [default: all that run]
    containers: Vec<String>,
    /// Show also those that do not run
    #[arg(short, long)]
    all: bool,
    /// How to print: table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print once
    #[arg(long)]
    no_stream: bool,
    /// Show ids whole
    #[arg(long)]
    no_trunc: bool,
}

const COLUMNS: [(&str, &str); 8] = [
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];
const HEADINGS: [(&str, &str); 1] = [("Container", "CONTAINER")];

/// A container at one moment.
struct Sample {
    container: Container,
    at: Instant,
    usage: Option<Usage>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let format = Format::parse(arguments.format.as_deref())?;
        let containers = Hand::open(data_dir)?.containers()?;
        let mut before = samples(arguments, &containers)?;
        loop {
            std::thread::sleep(INTERVAL);
            let now = samples(arguments, &containers)?;
            let rows: Vec<Value> = now
                .iter()
                .map(|sample| {
                    let id = &sample.container.record.id;
                    let before = before.iter().find(|known| known.container.record.id == *id);
                    row(sample, before, arguments.no_trunc)
                })
                .collect();
            if !arguments.no_stream {
                print!("{CLEAR}");
            }
            format.print(&COLUMNS, &HEADINGS, &rows)?;
            if arguments.no_stream {
                return Ok(ExitCode::SUCCESS);
            }
            before = now;
        }
    })
}

fn samples(arguments: &Arguments, containers: &Containers) -> Result<Vec<Sample>, Failure> {
    let chosen = match arguments.containers.as_slice() {
        [] => containers.list()?.into_iter().filter(|known| arguments.all || known.is_running()).collect(),
        names => names.iter().map(|name| containers.find(name)).collect::<Result<Vec<_>, _>>()?,
    };
    let sample = |container: Container| {
        // One that has ended uses nothing.
        let answer = Client::connect(&container).and_then(|client| client.answer(&Request::Usage));
        let usage = answer.ok().and_then(|answer| serde_json::from_value(answer).ok());
        Sample { container, at: Instant::now(), usage }
    };
    Ok(chosen.into_iter().map(sample).collect())
}

fn row(sample: &Sample, before: Option<&Sample>, whole: bool) -> Value {
    let usage = sample.usage.unwrap_or_default();
    let spent = before.and_then(|before| {
        let spent = usage.processor_time.checked_sub(before.usage?.processor_time)?;
        Some(spent.as_secs_f64() / (sample.at - before.at).as_secs_f64().max(f64::MIN_POSITIVE) * 100.0)
    });
    let limit = match sample.usage {
        Some(usage) => usage.memory_limit.unwrap_or_else(machine_memory),
        None => 0,
    };
    let share = if limit == 0 { 0.0 } else { usage.memory_bytes as f64 / limit as f64 * 100.0 };
    let record = &sample.container.record;
    let id = if whole { record.id.as_str() } else { sample.container.short_id() };
    json!({
        "BlockIO": format!("{} / {}", bytes(usage.read_bytes), bytes(usage.written_bytes)),
        "CPUPerc": format!("{:.2}%", spent.unwrap_or(0.0)),
        "Container": id,
        "ID": id,
        "MemPerc": format!("{share:.2}%"),
        "MemUsage": format!("{} / {}", binary_bytes(usage.memory_bytes), binary_bytes(limit)),
        "Name": record.name,
        "NetIO": format!("{} / {}", bytes(usage.received_bytes), bytes(usage.sent_bytes)),
        "PIDs": usage.tasks.to_string(),
    })
}

/// Returns the memory of this machine.
fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
