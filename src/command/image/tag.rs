//! `slipway tag`: gives an image another name.

use crate::hand::{Hand, told};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway tag`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id of the image
    source: String,
    /// The new name
    target: String,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        container::tag(&hand.store, &arguments.source, &arguments.target)?;
        Ok(ExitCode::SUCCESS)
    })
}
