//! `slipway start`, `slipway attach` and the logs of containers.

use super::attach::{Connection, check_terminal, follow};
use super::run::started;
use crate::hand::{Hand, each, now, told};
use clap::Args;
use container::{Client, Container, Error, LogLine, LogReader, Request};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How often a log is looked at that is followed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Arguments of `slipway start`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names or ids of containers
    #[arg(required = true)]
    containers: Vec<String>,
    /// Print what it prints, until it ends
    #[arg(short, long)]
    attach: bool,
    /// Pass on what is typed
    #[arg(short, long)]
    interactive: bool,
}

/// Runs `slipway start`.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        let containers = hand.containers()?;
        if arguments.attach || arguments.interactive {
            let [name] = arguments.containers.as_slice() else {
                return Err("you cannot start and attach multiple containers at once".to_owned().into());
            };
            let container = containers.find(name)?;
            let terminal = container.record.terminal;
            let interactive = arguments.interactive && container.record.interactive;
            let connection = Connection { terminal, interactive, signals: !terminal };
            check_terminal(connection)?;
            return follow(&begin(&hand, &container, true)?, &container, connection);
        }
        Ok(each(&arguments.containers, |name| {
            let container = containers.find(name)?;
            if !container.is_running() {
                started(&begin(&hand, &container, false)?)?;
            }
            println!("{name}");
            Ok(())
        }))
    })
}

/// Starts a supervisor for a container that does not run, and the container.
pub(crate) fn begin(hand: &Hand, container: &Container, attach: bool) -> Result<Client, crate::hand::Failure> {
    if container.is_running() {
        let text = format!("container {} is running already", container.record.id);
        return Err(Error::Conflict(text).into());
    }
    // After a start of the machine layers may have to be unpacked again.
    let image = container::Image::read(&hand.store, &container.record.manifest)?;
    hand.snapshots(&image, &hand.sandbox()?)?;
    let client = Client::spawn(container, hand.data.path())?;
    client.ask(&Request::Start { attach })?;
    Ok(client)
}

/// Arguments of `slipway attach`.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Name or id of the container
    container: String,
}

/// Runs `slipway attach`.
pub(crate) fn attach(arguments: &Attach, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let container = Hand::open(data_dir)?.containers()?.find(&arguments.container)?;
        let client = Client::connect(&container)?;
        client.ask(&Request::Attach)?;
        let record = &container.record;
        let (terminal, interactive) = (record.terminal, record.interactive);
        follow(&client, &container, Connection { terminal, interactive, signals: !terminal })
    })
}

/// Arguments of `slipway container logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Name or id of the container
    pub container: String,
    /// Print also what comes, until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only what came after a time, or within so long: 2026-01-02T03:04:05Z, 10m
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only what came before a time, or longer ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all")]
    pub tail: String,
    /// Show when each line came
    #[arg(short, long)]
    pub timestamps: bool,
}

/// Runs `slipway container logs`.
pub(crate) fn logs(arguments: &Logs, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let containers = Hand::open(data_dir)?.containers()?;
        let mut container = containers.find(&arguments.container)?;
        let limit = |text: &Option<String>, name: &str| match text {
            Some(text) => match container::moment(text, now()) {
                Some(moment) => Ok(Some(moment)),
                None => {
                    Err(crate::hand::Failure::from(format!("invalid value for \"{name}\": {text:?} is not a time")))
                }
            },
            None => Ok(None),
        };
        let (since, until) = (limit(&arguments.since, "since")?, limit(&arguments.until, "until")?);
        let wanted = |line: &LogLine| {
            let at = container::moment(&line.time, 0).unwrap_or(0);
            since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until)
        };
        let tail = match arguments.tail.as_str() {
            "all" => usize::MAX,
            text => {
                text.parse().map_err(|_| crate::hand::Failure::from(format!("invalid value for \"tail\": {text:?}")))?
            }
        };
        let (mut reader, mut tail) = (LogReader::new(&container.directory), tail);
        loop {
            // Asked before the log is read: what is printed before the end is read after it.
            let is_running = container.is_running();
            let mut lines = std::collections::VecDeque::new();
            reader.read(|line| {
                if wanted(&line) {
                    lines.push_back(line);
                    if lines.len() > tail {
                        lines.pop_front();
                    }
                }
            })?;
            lines.iter().for_each(|line| print(line, arguments.timestamps));
            // All that comes from now on is wanted.
            tail = usize::MAX;
            if !arguments.follow || !is_running {
                return Ok(ExitCode::SUCCESS);
            }
            std::thread::sleep(POLL_INTERVAL);
            container = match Container::read(&container.directory) {
                Ok(container) => container,
                // It was removed, and its log with it.
                Err(_) => return Ok(ExitCode::SUCCESS),
            };
        }
    })
}

fn print(line: &LogLine, timestamps: bool) {
    let text = if timestamps { format!("{} {}", line.time, line.log) } else { line.log.clone() };
    let _ = match line.stream.as_str() {
        "stderr" => std::io::stderr().write_all(text.as_bytes()),
        _ => std::io::stdout().write_all(text.as_bytes()),
    };
}
