//! `slipway completion` and `slipway man`: what shells and readers of manuals know of the command line, made of its definition.

use crate::client::Connection;
use crate::state::DataDir;
use clap::{Args, Command, CommandFactory};
use clap_complete::env::Shells;
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use container::{Catalog, Containers, Name, Volumes};
use image_store::Store;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The variable with which a shell asks for completions.
pub(crate) const VARIABLE: &str = "SLIPWAY_COMPLETE";
/// How long a server may take to tell names: somebody waits at a key.
const SERVER_TIMEOUT: Duration = Duration::from_secs(1);
/// Builds whose ids are offered.
const MAX_BUILDS: usize = 50;
/// The name of the program.
const PROGRAM: &str = "slipway";

/// Arguments of `slipway completion`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    shell: String,
}

/// Arguments of `slipway man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Where the pages are written; made if it is missing
    directory: PathBuf,
}

/// Answers a shell that asks for completions, and exits then; returns if none asks.
pub(crate) fn answer_if_asked() {
    clap_complete::CompleteEnv::with_factory(with_names).var(VARIABLE).complete();
}

/// Runs `slipway completion`.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let shells = Shells::builtins();
    let shell = shells.completer(&arguments.shell).ok_or_else(|| format!("`{}` is not known", arguments.shell))?;
    let mut out = std::io::stdout();
    let written = shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut out);
    written.map_err(|error| format!("writing the completion: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `slipway man`.
pub(crate) fn man(arguments: &Man) -> Result<ExitCode, String> {
    let place = &arguments.directory;
    let failed = |error: std::io::Error| format!("writing manual pages to `{}`: {error}", place.display());
    std::fs::create_dir_all(place).map_err(failed)?;
    let command = crate::Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, place).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the command line, whose names of images and containers complete to those that are here, and names of repositories
/// and builds to those of the server.
fn with_names() -> Command {
    named(crate::Arguments::command())
}

fn named(command: Command) -> Command {
    let command = command.mut_args(|argument| match argument.get_id().as_str() {
        "container" | "containers" => argument.add(ArgValueCompleter::new(containers)),
        "image" | "images" => argument.add(ArgValueCompleter::new(images)),
        "volumes" if argument.is_positional() => argument.add(ArgValueCompleter::new(volumes)),
        "names" => argument.add(ArgValueCompleter::new(both)),
        "build" | "against" => argument.add(ArgValueCompleter::new(builds)),
        "repo" | "repository" => argument.add(ArgValueCompleter::new(repositories)),
        _ => argument,
    });
    let command = match command.get_name() {
        "repo" => command.mut_subcommands(of_repository),
        _ => command,
    };
    command.mut_subcommands(named)
}

/// Completes the name that commands of `slipway repo` are about.
fn of_repository(command: Command) -> Command {
    command.mut_args(|argument| match argument.get_id().as_str() {
        "name" => argument.add(ArgValueCompleter::new(repositories)),
        _ => argument,
    })
}

/// Returns the repositories of the server that the line being typed means.
fn repositories(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, texts("/v1/repos", "repositories", "name").into_iter())
}

/// Returns the newest builds of the server by id, and the repositories, whose newest builds are meant by their names.
fn builds(begun: &OsStr) -> Vec<CompletionCandidate> {
    let builds = texts(&format!("/v1/builds?limit={MAX_BUILDS}"), "builds", "id");
    let names = texts("/v1/repos", "repositories", "name");
    candidates(begun, names.into_iter().chain(builds))
}

/// Returns a text of each member of a list of the server; nothing, if it does not answer soon.
fn texts(path: &str, list: &str, field: &str) -> Vec<String> {
    let api = Connection::of_environment(typed).open().ok();
    let answer = api.and_then(|api| api.get_within(path, SERVER_TIMEOUT)).unwrap_or_default();
    let members = answer[list].as_array().cloned().unwrap_or_default();
    members.iter().filter_map(|member| member[field].as_str()).map(str::to_owned).collect()
}

fn containers(begun: &OsStr) -> Vec<CompletionCandidate> {
    let containers = data_dir().filter(|data| data.join("containers").is_dir());
    let list = containers.and_then(|data| Containers::open(&data).ok()?.list().ok()).unwrap_or_default();
    candidates(begun, list.into_iter().map(|container| container.record.name))
}

fn volumes(begun: &OsStr) -> Vec<CompletionCandidate> {
    let there = data_dir().filter(|data| data.join("volumes").is_dir());
    let list = there.and_then(|data| Volumes::open(&data).ok()?.list().ok()).unwrap_or_default();
    candidates(begun, list.into_iter().map(|volume| volume.name))
}

fn images(begun: &OsStr) -> Vec<CompletionCandidate> {
    let images = data_dir().map(|data| data.join("images")).filter(|images| images.is_dir());
    let catalog = images.and_then(|images| Catalog::load(&Store::open(&images).ok()?).ok()).unwrap_or_default();
    candidates(begun, catalog.images.iter().flat_map(|image| &image.names).map(Name::to_string))
}

fn both(begun: &OsStr) -> Vec<CompletionCandidate> {
    containers(begun).into_iter().chain(images(begun)).collect()
}

fn candidates(begun: &OsStr, names: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    names.filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

/// Returns the data directory that the line being typed means.
fn data_dir() -> Option<PathBuf> {
    let typed = typed("--data-dir").map(OsString::from);
    DataDir::existing(typed.or_else(|| std::env::var_os("SLIPWAY_DATA_DIR")).map(PathBuf::from))
}

/// Returns the value that the line being typed has for a flag.
fn typed(flag: &str) -> Option<String> {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let at = words.iter().position(|word| word == flag)?;
    words.get(at + 1).cloned()
}
