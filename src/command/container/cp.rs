//! `slipway cp`: files between a container and this machine, or a tar.

use crate::hand::{Failure, Hand, bytes, told};
use clap::Args;
use container::{Container, ContainerFiles, Error};
use runtime::PathKind;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `slipway cp`.
#[derive(Debug, Args)]
#[command(
    override_usage = "slipway cp [OPTIONS] CONTAINER:SOURCE TARGET|-\n       slipway cp [OPTIONS] SOURCE|- CONTAINER:TARGET"
)]
pub(crate) struct Arguments {
    /// A path, CONTAINER:PATH, or - for a tar on standard input
    source: String,
    /// A path, CONTAINER:PATH, or - for a tar on standard output
    target: String,
    /// Keep owners
    #[arg(short, long)]
    archive: bool,
    /// Copy what a link leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Do not say what was copied
    #[arg(short, long)]
    quiet: bool,
}

/// Splits `CONTAINER:PATH`; a path of this machine has no container.
fn place(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((container, path)) if !text.starts_with(['/', '.']) => (Some(container), path),
        _ => (None, text),
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let (from, source) = place(&arguments.source);
        let (to, target) = place(&arguments.target);
        if source.is_empty() || target.is_empty() {
            let side = if source.is_empty() { "source" } else { "destination" };
            return Err(format!("{side} can not be empty").into());
        }
        let (name, is_out) = match (from, to) {
            (Some(_), Some(_)) => return Err("copying between containers is not supported".to_owned().into()),
            (None, None) => return Err("must specify at least one container source".to_owned().into()),
            (Some(name), None) => (name, true),
            (None, Some(name)) => (name, false),
        };
        let hand = Hand::open(data_dir)?;
        let (containers, sandbox) = (hand.containers()?, hand.sandbox()?);
        let container = containers.find(name)?;
        if !container.is_running() {
            // After a start of the machine layers may have to be unpacked again.
            let image = container::Image::read(&hand.store, &container.record.manifest)?;
            hand.snapshots(&image, &sandbox)?;
        }
        let files = ContainerFiles::open(&containers, &container, &sandbox)?;
        match is_out {
            true => copy_out(arguments, &files, &absolute(source), target)?,
            false => copy_in(arguments, &files, &container, source, &absolute(target))?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns a path of a container from its root.
fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn said(arguments: &Arguments, copied: u64, target: &str) {
    // As docker does, for people only.
    if !arguments.quiet && std::io::stdout().is_terminal() {
        eprintln!("Successfully copied {} to {target}", bytes(copied));
    }
}

fn copy_out(arguments: &Arguments, files: &ContainerFiles<'_>, source: &str, target: &str) -> Result<(), Failure> {
    if target == "-" && std::io::stdout().is_terminal() {
        return Err("cowardly refusing to save to a terminal. Use the -o flag or redirect".to_owned().into());
    }
    let (stat, mut tar) = files.read(source, arguments.follow_link)?;
    if source.ends_with('/') && stat.kind != PathKind::Directory {
        return Err("not a directory".to_owned().into());
    }
    if target == "-" {
        let mut out = std::io::stdout().lock();
        let copied = std::io::copy(&mut tar, &mut out).and_then(|_| out.flush());
        return copied.map_err(|error| format!("writing the tar: {error}").into());
    }
    let path = Path::new(target);
    let is_directory = stat.kind == PathKind::Directory;
    let target_kind = std::fs::metadata(path).ok().map(|known| known.is_dir());
    let (directory, name) = destination(&stat.name, is_directory, target, target_kind)?;
    let directory = Path::new(&directory);
    if !directory.is_dir() {
        return Err(format!("invalid output path: directory {:?} does not exist", directory.display()).into());
    }
    let copied = match (stat.name.as_str(), name.as_str()) {
        // The content of a directory gets a new one.
        (".", own) if own != "." => std::fs::create_dir(directory.join(own))
            .and_then(|()| container::extract(tar, &directory.join(own), ".", arguments.archive)),
        (_, name) => container::extract(tar, directory, name, arguments.archive),
    };
    let copied = copied.map_err(|error| Failure::from(format!("copying to `{target}`: {error}")))?;
    said(arguments, copied, target);
    Ok(())
}

/// Returns the directory that something is copied to, and its name there; `.` for the content of a directory.
fn destination(
    name: &str,
    is_directory: bool,
    target: &str,
    target_is_directory: Option<bool>,
) -> Result<(String, String), Failure> {
    let wants_directory = target.ends_with('/') || target.ends_with("/.") || target == ".";
    match target_is_directory {
        Some(true) => Ok((target.to_owned(), name.to_owned())),
        Some(false) if wants_directory => Err("not a directory".to_owned().into()),
        Some(false) if is_directory => Err("cannot copy directory".to_owned().into()),
        None if wants_directory && !is_directory => Err("no such directory".to_owned().into()),
        _ => {
            let path = target.trim_end_matches("/.").trim_end_matches('/');
            let (directory, own) = path.rsplit_once('/').unwrap_or((".", path));
            let directory = if directory.is_empty() { "/" } else { directory };
            Ok((directory.to_owned(), own.to_owned()))
        }
    }
}

fn copy_in(
    arguments: &Arguments,
    files: &ContainerFiles<'_>,
    container: &Container,
    source: &str,
    target: &str,
) -> Result<(), Failure> {
    if container.record.read_only {
        return Err(Error::Conflict("container rootfs is marked read-only".to_owned()).into());
    }
    let found = match files.stat(target, true) {
        Ok(stat) => Some(stat.kind == PathKind::Directory),
        Err(Error::NotFound(_)) if source != "-" => None,
        Err(error) => return Err(error.into()),
    };
    if source == "-" {
        if found != Some(true) {
            return Err(format!("destination \"{}\" must be a directory", arguments.target).into());
        }
        let tar = builder::layer::tar_in(Box::new(std::io::stdin()));
        let tar = tar.map_err(|error| Failure::from(format!("reading the tar: {error}")))?;
        let mut tar = tar.ok_or_else(|| Failure::from("invalid tar header".to_owned()))?;
        return Ok(files.write(target, &mut tar)?);
    }
    let (path, name) = local(source, arguments.follow_link)?;
    let is_directory = path.symlink_metadata().is_ok_and(|known| known.is_dir());
    let (directory, name) = destination(&name, is_directory, target, found)?;
    let (mut reader, writer) = std::io::pipe().map_err(|error| Failure::from(format!("making a pipe: {error}")))?;
    let (packed, written) = std::thread::scope(|scope| {
        let packing = scope.spawn(|| container::write_local(&path, &name, arguments.archive, writer));
        let written = files.write(&directory, &mut reader);
        // One that gave up reads no more.
        drop(reader);
        (packing.join(), written)
    });
    written?;
    match packed {
        Ok(Ok(copied)) => said(arguments, copied, &arguments.target),
        Ok(Err(error)) => return Err(format!("copying `{source}`: {error}").into()),
        Err(_) => return Err(format!("copying `{source}` was interrupted").into()),
    }
    Ok(())
}

/// Returns the file of this machine that is copied, and its name; `.` for the content of a directory.
fn local(source: &str, follow: bool) -> Result<(PathBuf, String), Failure> {
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::from(format!("lstat {source}: no such file or directory")),
        _ => Failure::from(format!("lstat {source}: {error}")),
    };
    let trimmed = source.trim_end_matches('/');
    let path = PathBuf::from(if trimmed.is_empty() { "/" } else { trimmed });
    let known = std::fs::symlink_metadata(&path).map_err(missing)?;
    let wants_directory = source.ends_with('/') || source.ends_with("/.") || source == ".";
    let resolved = match follow || wants_directory {
        true => std::fs::canonicalize(&path).map_err(missing)?,
        false => path.clone(),
    };
    let is_directory = known.is_dir() || resolved.is_dir() && wants_directory;
    if wants_directory && !is_directory {
        return Err("not a directory".to_owned().into());
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(match (source.ends_with("/.") || source == ".", name) {
        (false, Some(name)) => (resolved, name),
        _ => (resolved, ".".to_owned()),
    })
}
