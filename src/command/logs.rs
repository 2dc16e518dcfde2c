//! `slipway logs`: what a build printed, and with `-f` what it prints.

use crate::client::{Api, Connection, build_id};
use crate::command::container::start;
use crate::state::DataDir;
use crate::terminal::OutputWriter;
use clap::Args;
use std::io::{IsTerminal, Stdout, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use webhook::view::service::{LogEvent, StateEvent};

/// Exit code when the build itself ended badly, to tell it from a command that could not be carried out.
const BUILD_FAILED: u8 = 3;
/// How often a broken stream is taken up again without a word from it.
const TRIES: u32 = 10;

/// Arguments of `slipway logs`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A container's name or id; or a build: its id, namespace/name#number, or namespace/name for the newest
    build: String,
    /// Follow the log until the build has ended; the exit code then is 3 if it failed
    #[arg(long, short)]
    follow: bool,
    /// Only what this step printed
    #[arg(long, value_name = "NUMBER")]
    step: Option<i64>,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// Of a container, only what came after a time, or within so long
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Of a container, only what came before a time, or longer ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of a container, when each line came
    #[arg(long, short)]
    timestamps: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Arguments {
    /// Returns what is asked of a container's log, if the name is that of a container on this machine.
    fn of_container(&self, data_dir: Option<PathBuf>) -> Option<start::Logs> {
        let data = DataDir::existing(data_dir)?;
        let is_container = !self.build.contains(['/', '#']) && data.join("containers").is_dir();
        container::Containers::open(&data).ok().filter(|_| is_container)?.find(&self.build).ok()?;
        Some(start::Logs {
            container: self.build.clone(),
            follow: self.follow,
            since: self.since.clone(),
            until: self.until.clone(),
            tail: self.tail.map_or("all".to_owned(), |lines| lines.to_string()),
            timestamps: self.timestamps,
        })
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    if let Some(asked) = arguments.of_container(data_dir.clone()) {
        return start::logs(&asked, data_dir);
    }
    if arguments.since.is_some() || arguments.until.is_some() || arguments.timestamps {
        return Err(format!(
            "`{}` is not a container on this machine, and --since, --until and --timestamps are for containers",
            arguments.build
        ));
    }
    let api = arguments.connection.open()?;
    let id = build_id(&api, &arguments.build)?;
    if arguments.follow && arguments.tail.is_some() {
        return Err("--tail and --follow do not go together for a build".to_owned());
    }
    if arguments.follow {
        return follow(&api, &id, arguments.step);
    }
    let mut query: Vec<String> = arguments.step.iter().map(|step| format!("step={step}")).collect();
    query.extend(arguments.tail.iter().map(|lines| format!("tail={lines}")));
    query.extend(arguments.connection.json.then(|| "format=ndjson".to_owned()));
    let mut output = output();
    let path = format!("/v1/builds/{id}/logs?{}", query.join("&"));
    api.stream(&path, &[], |part| told(output.write_all(part).and_then(|()| output.flush())).map(|()| true))?;
    told(output.finish())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a build's log as it grows, until the build has ended.
pub(crate) fn follow(api: &Api, id: &str, step: Option<i64>) -> Result<ExitCode, String> {
    let query = step.map(|step| format!("?step={step}")).unwrap_or_default();
    let path = format!("/v1/builds/{id}/logs{query}");
    let (mut last, mut tries) = ("0".to_owned(), 0);
    let mut output = output();
    loop {
        let mut events = Events::default();
        let mut ended = None;
        let before = last.clone();
        let headers = [("accept", "text/event-stream"), ("last-event-id", before.as_str())];
        let streamed = api.stream(&path, &headers, |part| {
            for event in events.read(part) {
                match event.name.as_str() {
                    "log" => {
                        let log: LogEvent = serde_json::from_str(&event.data).unwrap_or_default();
                        told(output.write_all(log.text.as_bytes()).and_then(|()| output.flush()))?;
                    }
                    "end" => {
                        let end: StateEvent = serde_json::from_str(&event.data).unwrap_or_default();
                        ended = Some(end.state.unwrap_or_default());
                    }
                    _ => {}
                }
                if let Some(id) = event.id {
                    last = id;
                }
            }
            Ok(ended.is_none())
        });
        if let Some(state) = ended {
            told(output.finish())?;
            return Ok(if is_good(&state) { ExitCode::SUCCESS } else { ExitCode::from(BUILD_FAILED) });
        }
        tries = if last == before { tries + 1 } else { 0 };
        if let Err(error) = streamed
            && (tries >= TRIES || error.contains("HTTP 4"))
        {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Returns whether a final state needs no attention.
pub(crate) fn is_good(state: &str) -> bool {
    matches!(state, "succeeded" | "superseded" | "skipped")
}

/// Returns where a log is printed: a terminal gets its text and colours, a file or another program the log as it is.
fn output() -> OutputWriter<Stdout> {
    let stdout = std::io::stdout();
    let is_terminal = stdout.is_terminal();
    OutputWriter::new(stdout, is_terminal)
}

fn told(written: std::io::Result<()>) -> Result<(), String> {
    written.map_err(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            crate::exit_on_broken_pipe();
        }
        format!("writing to standard output: {error}")
    })
}

/// A server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    name: String,
    id: Option<String>,
    data: String,
}

/// Reads server-sent events from parts that end anywhere.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
    event: Event,
}

impl Events {
    fn read(&mut self, part: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(part);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                events.extend((!event.name.is_empty() || !event.data.is_empty()).then_some(event));
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.event.name = value.to_owned(),
                "id" => self.event.id = Some(value.to_owned()),
                "data" => self.event.data.push_str(value),
                _ => {}
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_from_parts_that_end_anywhere() {
        let text = b": ping\n\nevent: log\nid: 7\ndata: {\"text\":\"a\"}\n\nevent: end\r\ndata: {}\r\n\r\n";
        let mut events = Events::default();
        let read: Vec<Event> = text.iter().flat_map(|byte| events.read(&[*byte])).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].id.as_deref(), read[0].data.as_str(), read[1].name.as_str()),
            (Some("7"), "{\"text\":\"a\"}", "end")
        );
    }
}
