//! The commands of `docker` in a hook, by their names.

use super::archive_commands as archive;
use super::asked::Asked;
use super::build_command as build;
use super::engine::{Engine, Failed};
use super::image_commands as image;
use super::push_command as push;
use super::run_command as run;
use super::socket::{Call, Caller};

/// The version that hooks are told: one that knows all that is answered here.
const VERSION: &str = "24.0.0";
/// Groups of commands whose names stand before them.
const GROUPS: [&str; 4] = ["image", "container", "builder", "buildx"];

/// Answers a command line and returns its exit code.
pub(crate) fn answer(engine: &Engine, call: &Call, caller: &Caller) -> u8 {
    match run_line(engine, call, caller) {
        Ok(code) => code,
        Err(Failed { code, text }) => {
            caller.complain(format!("{}\n", text.trim_end()));
            code
        }
    }
}

fn run_line(engine: &Engine, call: &Call, caller: &Caller) -> Result<u8, Failed> {
    let mut words: &[String] = call.arguments.get(1..).unwrap_or_default();
    let called = call.arguments.first().map(String::as_str).unwrap_or_default();
    if called.ends_with("docker-compose") {
        return Err(Failed::usage(COMPOSE));
    }
    // Flags before the command say how docker itself works.
    while let Some(first) = words.first().filter(|word| word.starts_with('-')) {
        match first.as_str() {
            "-v" | "--version" => {
                caller.print(format!("Docker version {VERSION}, build slipway\n"));
                return Ok(0);
            }
            "-D" | "--debug" => words = &words[1..],
            "-l" | "--log-level" | "--config" => words = words.get(2..).unwrap_or_default(),
            _ => {
                return Err(Failed::usage(format!(
                    "unknown flag: {first}: slipway's docker in hooks does not have it"
                )));
            }
        }
    }
    let (mut name, mut arguments) = match words.split_first() {
        Some((name, arguments)) => (name.as_str(), arguments),
        None => ("help", words),
    };
    let group = GROUPS.iter().find(|group| **group == name);
    if let (Some(_), Some((inner, rest))) = (group, arguments.split_first()) {
        (name, arguments) = (inner.as_str(), rest);
    }
    let asked = Asked { engine, call, caller, arguments };
    dispatch(group.copied().unwrap_or_default(), name, &asked)
}

fn dispatch(group: &str, name: &str, asked: &Asked<'_>) -> Result<u8, Failed> {
    match (group, name) {
        ("" | "image" | "builder" | "buildx", "build") => build::build(asked, group == "buildx"),
        ("buildx", "create" | "use" | "inspect" | "ls" | "rm" | "version") => buildx(name, asked),
        ("" | "image", "tag") => image::tag(asked),
        ("", "images") | ("image", "ls" | "list") => image::list(asked),
        ("", "rmi") | ("image", "rm" | "remove") => image::remove(asked),
        ("" | "image", "inspect") => image::inspect(asked),
        ("" | "image", "pull") => image::pull(asked),
        ("" | "image", "save") => archive::save(asked),
        ("" | "image", "load") => archive::load(asked),
        ("" | "image", "push") => push::push(asked),
        ("" | "container", "run") => run::run(asked),
        ("" | "container", "create") => run::create(asked),
        ("" | "container", "start") => run::start(asked),
        ("" | "container", "cp") => run::copy(asked),
        ("" | "container", "rm") => run::remove(asked),
        ("" | "container", "logs") => run::logs(asked),
        ("" | "container", "wait") => run::wait(asked),
        ("" | "container", "stop" | "kill") => run::stop(asked),
        ("", "ps") | ("container", "ls") => run::list(asked),
        ("", "login") => push::login(asked),
        ("", "logout") => push::logout(asked),
        ("", "version") => version(asked),
        ("", "info") => info(asked),
        ("", "compose") => Err(Failed::usage(COMPOSE)),
        _ => Err(Failed::usage(format!(
            "docker: '{}' is not a command of slipway's docker in hooks; docs/docker-hub.md lists those that are",
            [group, name].join(" ").trim()
        ))),
    }
}

/// Why there is no compose.
const COMPOSE: &str = "docker compose is not a command of slipway's docker in hooks: the tests of a `*.test.yml` are \
     run by slipway itself";

/// Answers for builders that are one here.
fn buildx(name: &str, asked: &Asked<'_>) -> Result<u8, Failed> {
    let text = match name {
        "version" => "github.com/docker/buildx v0.12.0 slipway\n",
        "ls" | "inspect" => "NAME/NODE  DRIVER/ENDPOINT  STATUS\ndefault *  slipway          running\n",
        "create" => "default\n",
        _ => "",
    };
    asked.caller.print(text);
    Ok(0)
}

fn version(asked: &Asked<'_>) -> Result<u8, Failed> {
    let wants_number = asked.arguments.iter().any(|argument| argument.contains("{{"));
    let text = if wants_number { format!("{VERSION}\n") } else { format!("Client:\n Version: {VERSION}\n") };
    asked.caller.print(text);
    Ok(0)
}

fn info(asked: &Asked<'_>) -> Result<u8, Failed> {
    let images = asked.engine.images.all().len();
    asked.caller.print(format!("Server:\n Images: {images}\n Server Version: {VERSION}\n Storage Driver: overlay2\n"));
    Ok(0)
}
