//! `slipway import`: an image of a tar of files.

use super::archive::open;
use super::pull::{platform, reference};
use crate::command::container::commit::changed;
use crate::hand::{Failure, Hand, StoreLayers, told};
use clap::Args;
use container::{Error, ImportRequest};
use registry_client::ContainerConfig;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `slipway import`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A tar, or - for one on standard input
    source: String,
    /// Name of the image
    name: Option<String>,
    /// Apply an instruction of a Dockerfile to the image
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// A note for the history
    #[arg(short, long, default_value = "")]
    message: String,
    /// Platform that the files are for [default: this machine]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let source = arguments.source.as_str();
        let target = arguments.name.as_deref().map(reference).transpose()?;
        if target.as_ref().is_some_and(|target| target.digest().is_some()) {
            return Err(Error::Invalid("cannot import digest reference".to_owned()).into());
        }
        if source.contains("://") {
            let text = format!("URLs are not fetched: `curl -L {source} | slipway import -` does that");
            return Err(Error::Invalid(text).into());
        }
        let message = match arguments.message.as_str() {
            "" => format!("Imported from {source}"),
            message => message.to_owned(),
        };
        let request = ImportRequest {
            config: changed(&ContainerConfig::default(), &arguments.changes)?,
            message,
            platform: platform(arguments.platform.as_deref())?,
            target: target.as_ref(),
        };
        let input: Box<dyn Read + Send> = match source {
            "-" => Box::new(std::io::stdin()),
            path => Box::new(open(Path::new(path))?),
        };
        let hand = Hand::open(data_dir)?;
        let failed = |error: std::io::Error| Failure::from(format!("reading the tar: {error}"));
        let tar = builder::layer::tar_in(input).map_err(failed)?;
        let mut tar = tar.ok_or_else(|| Error::Invalid("it is not a tar: invalid tar header".to_owned()))?;
        println!("{}", container::import(&hand.store, request, &mut tar, &StoreLayers)?);
        Ok(ExitCode::SUCCESS)
    })
}
