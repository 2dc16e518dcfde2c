//! `slipway system prune`: removes containers that have ended and images that nobody uses.

use crate::command::container::rm::{PruneFilters, remove_ended};
use crate::command::image::prune::{self, remove_unused};
use crate::command::volume::prune_unused;
use crate::hand::{Hand, bytes, confirmed, now, told};
use clap::Args;
use container::Filters;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway system prune`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    images: prune::Arguments,
    /// Remove volumes without a name that no container has, too
    #[arg(long)]
    volumes: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let volumes = arguments.volumes;
        let arguments = &arguments.images;
        let (images, containers) =
            (Filters::parse(&arguments.filters, now())?, PruneFilters::parse(&arguments.filters)?);
        let of_images = match arguments.all {
            true => "all images without at least one container associated to them",
            false => "all dangling images",
        };
        let of_volumes = if volumes { "  - all anonymous volumes not used by at least one container\n" } else { "" };
        let warning = format!("WARNING! This will remove:\n  - all stopped containers\n{of_volumes}  - {of_images}\n");
        if !arguments.force && !confirmed(&warning) {
            return Ok(ExitCode::SUCCESS);
        }
        let hand = Hand::open(data_dir)?;
        // Containers first: they use images.
        let mut reclaimed = remove_ended(&hand, &containers)?;
        if volumes {
            reclaimed += prune_unused(&hand, false, &[])?;
        }
        reclaimed += remove_unused(&hand, arguments.all, &images)?;
        println!("Total reclaimed space: {}", bytes(reclaimed));
        Ok(ExitCode::SUCCESS)
    })
}
