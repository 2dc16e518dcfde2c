//! `slipway save` and `slipway load`: images as archives.

use super::pull::platform;
use crate::hand::{Failure, Hand, StoreLayers, told};
use clap::Args;
use container::{Error, Loaded};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `slipway save`.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Names or ids of images; a name without a tag means all its tags
    #[arg(required = true)]
    images: Vec<String>,
    /// Write only the image of this platform
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Arguments of `slipway load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Keep only the images of this platform
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Read a file instead of standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print no progress; there is none in any case
    #[arg(short, long)]
    quiet: bool,
}

/// Runs `slipway save`.
pub(crate) fn save(arguments: &Save, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let platform = arguments.platform.as_deref().map(|text| platform(Some(text))).transpose()?;
        let hand = Hand::open(data_dir)?;
        write_to(arguments.output.as_deref(), |out| {
            Ok(container::save(&hand.store, &arguments.images, platform.as_ref(), out)?)
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes to a file, which is there whole or not at all, or to standard output, which must not be a terminal.
pub(crate) fn write_to(
    output: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(path) = output else {
        if std::io::stdout().is_terminal() {
            return Err("cowardly refusing to save to a terminal. Use the -o flag or redirect".to_owned().into());
        }
        return write(&mut std::io::stdout().lock());
    };
    let failed = |error: std::io::Error| Failure::from(format!("writing `{}`: {error}", path.display()));
    if path.exists() && !path.is_file() {
        return write(&mut std::fs::File::options().write(true).open(path).map_err(failed)?);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    write(&mut file)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Runs `slipway load`.
pub(crate) fn load(arguments: &Load, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let platform = arguments.platform.as_deref().map(|text| platform(Some(text))).transpose()?;
        let input: Box<dyn Read + Send> = match &arguments.input {
            Some(path) => Box::new(open(path)?),
            None if std::io::stdin().is_terminal() => {
                return Err("requested load from stdin, but stdin is empty".to_owned().into());
            }
            None => Box::new(std::io::stdin()),
        };
        let hand = Hand::open(data_dir)?;
        let tar =
            builder::layer::tar_in(input).map_err(|error| Error::Invalid(format!("reading the archive: {error}")))?;
        let tar = tar.ok_or_else(|| Error::Invalid("invalid archive: it is not a tar".to_owned()))?;
        container::load(&hand.store, tar, platform.as_ref(), &StoreLayers)?.iter().for_each(print);
        Ok(ExitCode::SUCCESS)
    })
}

/// Opens a file as docker's client does.
pub(crate) fn open(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("open {}: no such file or directory", path.display()).into(),
        _ => format!("open {}: {error}", path.display()).into(),
    })
}

fn print(loaded: &Loaded) {
    for (name, id) in &loaded.replaced {
        println!("The image {name} already exists, renaming the old one with ID {id} to empty string");
    }
    for name in &loaded.names {
        println!("Loaded image: {name}");
    }
    if loaded.names.is_empty() {
        println!("Loaded image ID: {}", loaded.id);
    }
}
