//! `slipway rm`, `slipway rename` and `slipway container prune`.

use crate::hand::{Failure, Hand, confirmed, each, told};
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
pub struct Arguments {
    /// Names or ids of containers
    #[arg(required = true)]
    containers: Vec<String>,
    /// End containers that run
    #[arg(short, long)]
    force: bool,
    /// Remove volumes without a name; containers have none
    #[arg(short, long)]
    volumes: bool,
}

/// Arguments of `slipway rename`.
#[derive(Debug, Args)]
pub struct Rename {
    /// Name or id of the container
    container: String,
    /// The new name
    name: String,
}

/// Arguments of `slipway container prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Runs `slipway rm`.
pub fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
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
            remove(&hand, &containers, container, &mut |running| end(running, name, arguments.force))?;
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
pub fn rename(arguments: &Rename, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        Hand::open(data_dir)?.containers()?.rename(&arguments.container, &arguments.name)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `slipway container prune`.
pub fn prune(arguments: &Prune, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        if !arguments.force && !confirmed("WARNING! This will remove all stopped containers.") {
            return Ok(ExitCode::SUCCESS);
        }
        let hand = Hand::open(data_dir)?;
        let containers = hand.containers()?;
        let mut is_first = true;
        for container in containers.list()?.iter().filter(|known| !known.is_running()) {
            match containers.remove(container, || remove_files(&hand, &container.record.id)) {
                // It is about to run.
                Err(Error::Busy(_)) => continue,
                removed => removed?,
            }
            container::release_container(&hand.store, &container.record.id)?;
            if std::mem::take(&mut is_first) {
                println!("Deleted Containers:");
            }
            println!("{}", container.record.id);
        }
        sweep(&hand, &containers)?;
        Ok(ExitCode::SUCCESS)
    })
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
