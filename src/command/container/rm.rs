//! `slipway rm`, `slipway rename` and `slipway container prune`.

use crate::hand::{Failure, Hand, bytes, confirmed, each, now, told};
use clap::Args;
use container::{Client, Container, Containers, Error, Message, Request};
use runtime::{ContainerId, Sandbox};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a container may take to start or to end while it is removed.
const SETTLING: Duration = Duration::from_secs(10);
/// How often such a container is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Arguments of `slipway rm`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names or ids of containers
    #[arg(required = true)]
    containers: Vec<String>,
    /// End containers that run
    #[arg(short, long)]
    force: bool,
    /// Remove the volumes without a name that belong to the containers
    #[arg(short, long)]
    volumes: bool,
}

/// Arguments of `slipway rename`.
#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Name or id of the container
    container: String,
    /// The new name
    name: String,
}

/// Arguments of `slipway container prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only containers for which this holds: until=, label=, label!=
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

/// Runs `slipway rm`.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        let containers = hand.containers()?;
        Ok(each(&arguments.containers, |name| {
            let container = match containers.find(name) {
                Err(Error::NotFound(text)) if arguments.force => {
                    if containers.remove_damaged(name, || remove_files(&hand, name))? {
                        container::release_container(&hand.store, name)?;
                        println!("{name}");
                        return Ok(());
                    }
                    eprintln!("Error response from daemon: {text}");
                    return Ok(());
                }
                found => found?,
            };
            let record = container.record.clone();
            remove(&hand, &containers, container, &mut |running| end(running, name, arguments.force))?;
            if arguments.volumes && !record.volumes.is_empty() {
                containers.volumes()?.remove_anonymous(&containers, &record, &hand.sandbox_for("rm")?)?;
            }
            println!("{name}");
            Ok(())
        }))
    })
}

fn end(container: &Container, name: &str, force: bool) -> Result<(), Failure> {
    if !force {
        return Err(Error::Conflict(format!(
            "cannot remove container \"{name}\": container is running: stop the container before removing or force remove"
        ))
        .into());
    }
    let waiter = Client::connect(container)?;
    waiter.ask(&Request::Wait)?;
    Client::connect(container)?.answer(&Request::Signal(9))?;
    while !matches!(waiter.receive()?, Some(Message::Exit(_)) | None) {}
    Ok(())
}

/// Removes a container: its files, its record, and what holds its image; one that runs is given to `end` before.
fn remove(
    hand: &Hand,
    containers: &Containers,
    mut container: Container,
    end: &mut dyn FnMut(&Container) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        if container.is_running() {
            end(&container)?;
        }
        match containers.remove(&container, || remove_files(hand, &container.record.id)) {
            // It is about to run, or was just ended: which of them is seen soon.
            Err(Error::Busy(_)) if since.elapsed() < SETTLING => std::thread::sleep(POLL_INTERVAL),
            removed => {
                removed?;
                return Ok(container::release_container(&hand.store, &container.record.id)?);
            }
        }
        match Container::read(&container.directory) {
            Ok(known) => container = known,
            // It removed itself.
            Err(_) => return Ok(()),
        }
    }
}

fn remove_files(hand: &Hand, id: &str) -> Result<(), Error> {
    let settings = hand.sandbox().map_err(|failure| Error::Invalid(failure.text))?;
    let sandbox = Sandbox::start(&settings, &format!("rm-{}", std::process::id()))?;
    Ok(sandbox.remove_container(&ContainerId::new(id)?)?)
}

/// Runs `slipway rename`.
pub(crate) fn rename(arguments: &Rename, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        Hand::open(data_dir)?.containers()?.rename(&arguments.container, &arguments.name)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `slipway container prune`.
pub(crate) fn prune(arguments: &Prune, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let filters = PruneFilters::parse(&arguments.filters)?;
        if !arguments.force && !confirmed("WARNING! This will remove all stopped containers.") {
            return Ok(ExitCode::SUCCESS);
        }
        let hand = Hand::open(data_dir)?;
        let reclaimed = remove_ended(&hand, &filters)?;
        println!("Total reclaimed space: {}", bytes(reclaimed));
        Ok(ExitCode::SUCCESS)
    })
}

/// Conditions on containers that are pruned.
pub(crate) struct PruneFilters {
    labels: Vec<(String, bool)>,
    until: Option<i64>,
}

impl PruneFilters {
    /// Reads `until=TIME`, `label=KEY[=VALUE]` and `label!=KEY[=VALUE]`.
    pub(crate) fn parse(texts: &[String]) -> Result<PruneFilters, Failure> {
        let mut filters = PruneFilters { labels: Vec::new(), until: None };
        for text in texts {
            let wrong = || Error::Invalid(format!("invalid filter '{text}'"));
            if let Some(label) = text.strip_prefix("label!=") {
                filters.labels.push((label.to_owned(), false));
            } else if let Some(label) = text.strip_prefix("label=") {
                filters.labels.push((label.to_owned(), true));
            } else {
                let time = text.strip_prefix("until=").and_then(|time| container::moment(time, now()));
                filters.until = Some(time.ok_or_else(wrong)?);
            }
        }
        Ok(filters)
    }

    fn matches(&self, container: &Container) -> bool {
        let labels = &container.record.config.labels;
        let has = |label: &str| match label.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
            None => labels.contains_key(label),
        };
        let created = container::moment(&container.record.created, 0).unwrap_or(0);
        self.labels.iter().all(|wanted| has(&wanted.0) == wanted.1) && self.until.is_none_or(|until| created < until)
    }
}

/// Removes containers that have ended, and tells which; returns the bytes that they had.
pub(crate) fn remove_ended(hand: &Hand, filters: &PruneFilters) -> Result<u64, Failure> {
    let containers = hand.containers()?;
    let sandbox = Sandbox::start(&hand.sandbox()?, &format!("prune-{}", std::process::id())).map_err(Error::from)?;
    let (mut is_first, mut reclaimed) = (true, 0);
    for container in containers.list()?.iter().filter(|known| !known.is_running() && filters.matches(known)) {
        let id = ContainerId::new(&container.record.id).map_err(Error::from)?;
        let size = sandbox.container_bytes(&id).map_err(Error::from)?;
        match containers.remove(container, || Ok(sandbox.remove_container(&id)?)) {
            // It is about to run.
            Err(Error::Busy(_)) => continue,
            removed => removed?,
        }
        container::release_container(&hand.store, &container.record.id)?;
        if std::mem::take(&mut is_first) {
            println!("Deleted Containers:");
        }
        println!("{}", container.record.id);
        reclaimed += size;
    }
    if !is_first {
        println!();
    }
    sweep(hand, &containers)?;
    Ok(reclaimed)
}

/// Removes files of containers that nobody knows: a crash may have left them.
fn sweep(hand: &Hand, containers: &Containers) -> Result<(), Failure> {
    // Read before the records: a container has its record before it has files.
    let directories = runtime::container_directories(&hand.sandbox()?);
    for digits in containers.unknown(directories)? {
        remove_files(hand, &digits)?;
    }
    Ok(())
}
