//! `slipway image prune`: removes images without a name, or all that no container uses.

use crate::hand::{Failure, Hand, bytes, confirmed, now, told};
use clap::Args;
use container::{Filters, Removed};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway image prune`, which `slipway system prune` has, too.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// Only what this holds for: until=, label=, label!=
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let filters = Filters::parse(&arguments.filters, now())?;
        let warning = match arguments.all {
            true => "WARNING! This will remove all images without at least one container associated to them.",
            false => "WARNING! This will remove all dangling images.",
        };
        if !arguments.force && !confirmed(warning) {
            return Ok(ExitCode::SUCCESS);
        }
        let hand = Hand::open(data_dir)?;
        let reclaimed = remove_unused(&hand, arguments.all, &filters)?;
        println!("Total reclaimed space: {}", bytes(reclaimed));
        Ok(ExitCode::SUCCESS)
    })
}

/// Removes images that nobody uses, and tells which; returns the bytes that went.
pub(crate) fn remove_unused(hand: &Hand, all: bool, filters: &Filters) -> Result<u64, Failure> {
    let before = hand.stored()?;
    let removed = container::prune(&hand.store, all, filters, &hand.removal(true)?)?;
    let after = hand.stored()?;
    if !removed.is_empty() {
        println!("Deleted Images:");
    }
    for one in &removed {
        match one {
            Removed::Untagged(name) => println!("untagged: {name}"),
            Removed::Deleted(id) => println!("deleted: {id}"),
        }
    }
    if !removed.is_empty() {
        println!();
    }
    Ok(before.saturating_sub(after))
}
