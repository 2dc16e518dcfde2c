//! `slipway rm`, `slipway rename` and `slipway container prune`.

use crate::hand::{Failure, Hand, confirmed, each, told};
use clap::Args;
use container::{Client, Container, Containers, Error, Message, Request};
use runtime::{ContainerId, Sandbox};
use std::path::PathBuf;
use std::process::ExitCode;

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
                    eprintln!("Error response from daemon: {text}");
                    return Ok(());
                }
                found => found?,
            };
            if container.is_running() {
                end(&container, name, arguments.force)?;
            }
            remove(&hand, &containers, &container)?;
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

/// Removes a container that does not run: its files, its record, and what holds its image.
fn remove(hand: &Hand, containers: &Containers, container: &Container) -> Result<(), Failure> {
    if !container.directory.exists() {
        // It removed itself when it ended.
        return Ok(());
    }
    let sandbox = Sandbox::start(&hand.sandbox()?, &format!("rm-{}", std::process::id())).map_err(Error::from)?;
    sandbox.remove_container(&ContainerId::new(&container.record.id).map_err(Error::from)?).map_err(Error::from)?;
    match containers.forget(container) {
        // It removed itself meanwhile.
        Err(Error::File { .. }) if !container.directory.exists() => {}
        forgotten => forgotten?,
    }
    Ok(container::release_container(&hand.store, &container.record.id)?)
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
        let ended: Vec<Container> = containers.list()?.into_iter().filter(|known| !known.is_running()).collect();
        if !ended.is_empty() {
            println!("Deleted Containers:");
        }
        for container in &ended {
            remove(&hand, &containers, container)?;
            println!("{}", container.record.id);
        }
        Ok(ExitCode::SUCCESS)
    })
}
