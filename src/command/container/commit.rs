//! `slipway commit`, `slipway diff` and `slipway export`: an image of what a container changed, the changes, and all its files.

use super::super::image::archive::write_to;
use super::super::image::pull::reference;
use crate::hand::{Failure, Hand, StoreLayers, told};
use clap::Args;
use container::{CommitRequest, Container, Error};
use registry_client::ContainerConfig;
use runtime::{ContainerId, Sandbox};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway commit`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id of the container
    container: String,
    /// Name of the image
    name: Option<String>,
    /// Author of the image
    #[arg(short, long, default_value = "")]
    author: String,
    /// A note for the history
    #[arg(short, long, default_value = "")]
    message: String,
    /// Apply an instruction of a Dockerfile to the image
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// Stop the container's processes meanwhile, which is done anyway
    #[arg(short, long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pause: Option<bool>,
    /// Let the container's processes go on meanwhile
    #[arg(long)]
    no_pause: bool,
}

/// Runs `slipway commit`.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        if arguments.no_pause && arguments.pause.is_some() {
            return Err("conflicting options: --no-pause and --pause cannot be used together".to_owned().into());
        }
        let target = arguments.name.as_deref().map(reference).transpose()?;
        if target.as_ref().is_some_and(|target| target.digest().is_some()) {
            return Err(
                Error::Invalid("invalid reference format: a digest is not the name of a new image".into()).into()
            );
        }
        let hand = Hand::open(data_dir)?;
        let container = hand.containers()?.find(&arguments.container)?;
        let request = CommitRequest {
            author: arguments.author.clone(),
            message: arguments.message.clone(),
            config: changed(&container.record.config, &arguments.changes)?,
            pause: !arguments.no_pause && arguments.pause != Some(false),
            target: target.as_ref(),
        };
        let id = container::commit(&hand.store, &hand.sandbox()?, &container, &request, &StoreLayers)?;
        println!("{id}");
        Ok(ExitCode::SUCCESS)
    })
}

/// Applies instructions to a configuration as a build would.
pub(crate) fn changed(config: &ContainerConfig, changes: &[String]) -> Result<ContainerConfig, Failure> {
    if changes.is_empty() {
        return Ok(config.clone());
    }
    builder::change_config(config, &changes.join("\n")).map_err(|problem| Error::Invalid(problem).into())
}

fn sandbox(hand: &Hand, container: &Container) -> Result<(Sandbox, ContainerId), Failure> {
    let sandbox = Sandbox::start(&hand.sandbox()?, &format!("read-{}", std::process::id())).map_err(Error::from)?;
    Ok((sandbox, ContainerId::new(&container.record.id).map_err(Error::from)?))
}

/// Arguments of `slipway diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Name or id of the container
    container: String,
}

/// Runs `slipway diff`.
pub(crate) fn diff(arguments: &Diff, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        let container = hand.containers()?.find(&arguments.container)?;
        let (sandbox, id) = sandbox(&hand, &container)?;
        for (kind, path) in sandbox.container_changes(&id).map_err(Error::from)? {
            println!("{kind} {path}");
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Arguments of `slipway export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Name or id of the container
    container: String,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs `slipway export`.
pub(crate) fn export(arguments: &Export, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        let container = hand.containers()?.find(&arguments.container)?;
        let (sandbox, id) = sandbox(&hand, &container)?;
        write_to(arguments.output.as_deref(), |out| Ok(sandbox.export_container(&id, out).map_err(Error::from)?))?;
        Ok(ExitCode::SUCCESS)
    })
}
