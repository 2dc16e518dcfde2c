//! `slipway rmi`: takes names away, and removes images whose last name goes.

use crate::hand::{Failure, Hand, told};
use clap::Args;
use container::Removed;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway rmi`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names or ids of images
    #[arg(required = true)]
    images: Vec<String>,
    /// Remove also what containers use or several names lead to
    #[arg(short, long)]
    force: bool,
    /// Keep parents without a name; images have no parents here, so nothing else changes
    #[arg(long)]
    no_prune: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        let removal = hand.removal(arguments.force)?;
        let mut code = ExitCode::SUCCESS;
        for name in &arguments.images {
            match container::remove(&hand.store, name, &removal) {
                Ok(removed) => removed.iter().for_each(print),
                Err(error) => {
                    let failure = Failure::from(error);
                    let told = failure.tell();
                    // A missing image needs no force.
                    if !(failure.is_missing && arguments.force) {
                        code = told;
                    }
                }
            }
        }
        Ok(code)
    })
}

fn print(removed: &Removed) {
    match removed {
        Removed::Untagged(name) => println!("Untagged: {name}"),
        Removed::Deleted(id) => println!("Deleted: {id}"),
    }
}
