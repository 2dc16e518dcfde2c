//! `slipway volume rm` and `slipway volume prune`.

use super::ls::{has_label, used};
use crate::hand::{Failure, Hand, bytes, confirmed, each, told};
use clap::Args;
use container::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway volume rm`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names of volumes
    #[arg(required = true)]
    volumes: Vec<String>,
    /// Succeed where a volume is not there
    #[arg(short, long)]
    force: bool,
}

/// Arguments of `slipway volume prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Remove those with a name, too
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only volumes for which this holds: label=, label!=
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

/// Runs `slipway volume rm`.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        let containers = hand.containers()?;
        let volumes = containers.volumes()?;
        let sandbox = hand.sandbox_for("volume-rm")?;
        Ok(each(&arguments.volumes, |name| {
            let _lock = volumes.lock()?;
            match volumes.remove(name, &containers, &sandbox) {
                Err(Error::NotFound(_)) if arguments.force => {}
                removed => removed?,
            }
            println!("{name}");
            Ok(())
        }))
    })
}

/// Runs `slipway volume prune`.
pub(crate) fn prune(arguments: &Prune, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let mut labels = Vec::new();
        for filter in &arguments.filters {
            match filter.strip_prefix("label!=").map(|label| (label, false)) {
                Some(excluded) => labels.push(excluded),
                None => {
                    let label = filter.strip_prefix("label=");
                    let wrong = || Error::Invalid(format!("invalid filter '{filter}'"));
                    labels.push((label.ok_or_else(wrong)?, true));
                }
            }
        }
        let kind = if arguments.all { "all local volumes" } else { "anonymous local volumes" };
        let warning = format!("WARNING! This will remove {kind} not used by at least one container.");
        if !arguments.force && !confirmed(&warning) {
            return Ok(ExitCode::SUCCESS);
        }
        let reclaimed = prune_unused(&Hand::open(data_dir)?, arguments.all, &labels)?;
        println!("Total reclaimed space: {}", bytes(reclaimed));
        Ok(ExitCode::SUCCESS)
    })
}

/// Removes volumes that no container has, and tells which: those without a name, or `all`; of these the ones that have, or
/// do not have, each label. Returns the bytes that they had.
pub(crate) fn prune_unused(hand: &Hand, all: bool, labels: &[(&str, bool)]) -> Result<u64, Failure> {
    let containers = hand.containers()?;
    let volumes = containers.volumes()?;
    let _lock = volumes.lock()?;
    let used = used(&containers)?;
    let mut unused = volumes.list()?;
    unused.retain(|volume| {
        let is_wanted = labels.iter().all(|wanted| has_label(volume, wanted.0) == wanted.1);
        (all || volume.is_anonymous) && !used.contains(&volume.name) && is_wanted
    });
    if unused.is_empty() {
        return Ok(0);
    }
    let sandbox = hand.sandbox_for("volume-prune")?;
    let mut reclaimed = 0;
    println!("Deleted Volumes:");
    for volume in unused {
        reclaimed += sandbox.volume_bytes(&volume.name).map_err(Error::from)?;
        volumes.remove(&volume.name, &containers, &sandbox)?;
        println!("{}", volume.name);
    }
    println!();
    Ok(reclaimed)
}
