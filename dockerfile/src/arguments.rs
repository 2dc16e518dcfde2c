//! The arguments of each instruction: what it takes, and what is wrong with what it got.

use crate::ast::{Arg, Command, Copy, CopyFlags, InstructionKind, Pair, Run, RunNetwork, RunSecurity};
use crate::cause::Cause;
use crate::exec;
use crate::expand;
use crate::flags::Flags;
use crate::health;
use crate::heredoc::{self, Heredoc};
use crate::lexer::Line;
use crate::words;

const COPY_FLAGS: [&str; 6] = ["from", "chown", "chmod", "link", "parents", "exclude"];
const ADD_FLAGS: [&str; 7] = ["chown", "chmod", "link", "keep-git-dir", "checksum", "exclude", "unpack"];
const RUN_FLAGS: [&str; 4] = ["mount", "network", "security", "device"];

/// Checks the form of a line's arguments, as far as BuildKit does before it looks at what instructions mean.
pub(crate) fn check_form(line: &str, escape: char) -> Result<(), String> {
    let (keyword, arguments) = words::keyword(line);
    let rest = words::after_flags(arguments).trim();
    match keyword.to_lowercase().as_str() {
        "env" => key_values(rest, escape, "ENV").map(drop),
        "label" => key_values(rest, escape, "LABEL").map(drop),
        "add" | "copy" | "cmd" | "entrypoint" | "run" | "shell" | "volume" => {
            exec::parse(rest).map(drop).map_err(|error| error.to_string())
        }
        "healthcheck" => exec::parse(words::keyword(rest).1).map(drop).map_err(|error| error.to_string()),
        "onbuild" => check_form(rest, escape),
        _ => Ok(()),
    }
}

/// Parses the arguments of the instruction `keyword`.
pub(crate) fn parse(keyword: &str, arguments: &str, line: &Line, escape: char) -> Result<InstructionKind, Cause> {
    let (words, rest) = words::split_flags(arguments);
    let rest = rest.trim();
    let upper = keyword.to_uppercase();
    let no_flags = || Flags::new(words.clone(), &[], &[]).map(drop);
    let least = |enough: bool| if enough { Ok(()) } else { Err(format!("{upper} requires at least one argument")) };
    let value = || match rest {
        "" => Err(format!("{upper} requires exactly one argument")),
        rest => Ok(rest.to_owned()),
    };
    Ok(match keyword {
        "add" => InstructionKind::Add(Box::new(copy(Flags::new(words, &ADD_FLAGS, &["exclude"]), rest, line, "ADD")?)),
        "copy" => {
            InstructionKind::Copy(Box::new(copy(Flags::new(words, &COPY_FLAGS, &["exclude"]), rest, line, "COPY")?))
        }
        "run" => {
            InstructionKind::Run(Box::new(run(&Flags::new(words, &RUN_FLAGS, &["mount", "device"])?, rest, line)?))
        }
        "healthcheck" => InstructionKind::Healthcheck(health::parse(words, rest)?),
        // These two have always dropped what looks like a flag.
        "arg" => InstructionKind::Arg(args(rest, escape)?),
        "stopsignal" => InstructionKind::StopSignal(value()?),
        "onbuild" => {
            least(!rest.is_empty())?;
            no_flags()?;
            InstructionKind::OnBuild(on_build(line)?)
        }
        "expose" => {
            least(!rest.is_empty())?;
            no_flags()?;
            InstructionKind::Expose(words::blank_words(rest))
        }
        "volume" => {
            let volumes = exec::parse(rest)?.unwrap_or_else(|| words::blank_words(rest));
            least(!volumes.is_empty())?;
            no_flags()?;
            InstructionKind::Volume(volumes_named(volumes)?)
        }
        "maintainer" | "user" | "workdir" => {
            let value = value()?;
            no_flags()?;
            match keyword {
                "maintainer" => InstructionKind::Maintainer(value),
                "user" => InstructionKind::User(value),
                _ => InstructionKind::Workdir(value),
            }
        }
        _ => {
            no_flags()?;
            match keyword {
                "cmd" => InstructionKind::Cmd(command(rest)?),
                "entrypoint" => InstructionKind::Entrypoint(command(rest)?),
                "env" => InstructionKind::Env(pairs(rest, escape, "ENV")?),
                "label" => InstructionKind::Label(pairs(rest, escape, "LABEL")?),
                _ => InstructionKind::Shell(shell(rest)?),
            }
        }
    })
}

fn shell(rest: &str) -> Result<Vec<String>, Cause> {
    let words = exec::parse(rest)?;
    if rest.is_empty() || words.as_ref().is_some_and(Vec::is_empty) {
        return Err("SHELL requires at least one argument".to_owned().into());
    }
    Ok(words.ok_or_else(|| "SHELL requires the arguments to be in JSON form".to_owned())?)
}

fn volumes_named(volumes: Vec<String>) -> Result<Vec<String>, String> {
    let volumes: Vec<String> = volumes.iter().map(|volume| volume.trim().to_owned()).collect();
    if volumes.iter().any(String::is_empty) {
        return Err("VOLUME specified can not be an empty string".to_owned());
    }
    Ok(volumes)
}

fn command(text: &str) -> Result<Command, exec::NotStrings> {
    Ok(match exec::parse(text)? {
        Some(words) => Command::Exec(words),
        None => Command::Shell(text.to_owned()),
    })
}

fn run(flags: &Flags, rest: &str, line: &Line) -> Result<Run, Cause> {
    let command = command(rest)?;
    let network = match flags.text("network")?.as_deref() {
        None | Some("" | "default") => RunNetwork::Default,
        Some("none") => RunNetwork::None,
        Some("host") => RunNetwork::Host,
        Some(other) => return Err(Cause::Instruction(format!("invalid network mode {other:?}"))),
    };
    let security = match flags.text("security")?.as_deref() {
        None | Some("" | "sandbox") => RunSecurity::Sandbox,
        Some("insecure") => RunSecurity::Insecure,
        Some(other) => return Err(Cause::Instruction(format!("security {other:?} is not valid"))),
    };
    let mounts = flags.texts("mount")?;
    for mount in &mounts {
        crate::mount::check_from(mount)?;
    }
    Ok(Run { command, heredocs: line.heredocs.clone(), mounts, network, security })
}

fn copy(flags: Result<Flags, String>, rest: &str, line: &Line, keyword: &str) -> Result<Copy, Cause> {
    let words = match exec::parse(rest)? {
        Some(words) => words,
        None if line.heredocs.is_empty() => words::blank_words(rest),
        None => expand::shell_words(rest),
    };
    let [sources @ .., destination] = words.as_slice() else { return Err(no_destination(keyword)) };
    if sources.is_empty() {
        return Err(no_destination(keyword));
    }
    // Errors of the words are reported before errors of the flags.
    let flags = flags?;
    let heredocs: Vec<Heredoc> = line.heredocs.clone();
    if !heredocs.is_empty() && heredoc::parse(destination).is_some() {
        return Err(Cause::Instruction(format!("{keyword} cannot accept a heredoc as a destination")));
    }
    let sources: Vec<String> =
        sources.iter().filter(|source| heredocs.is_empty() || heredoc::parse(source).is_none()).cloned().collect();
    Ok(Copy {
        sources,
        heredocs,
        destination: destination.clone(),
        add: keyword == "ADD",
        from: from(&flags)?,
        flags: copy_flags(&flags)?,
    })
}

fn copy_flags(flags: &Flags) -> Result<CopyFlags, String> {
    Ok(CopyFlags {
        chown: flags.text("chown")?,
        chmod: flags.text("chmod")?,
        link: flags.boolean("link")?.unwrap_or(false),
        parents: flags.boolean("parents")?.unwrap_or(false),
        excludes: flags.texts("exclude")?,
        checksum: flags.text("checksum")?,
        keep_git_dir: flags.boolean("keep-git-dir")?.unwrap_or(false),
        unpack: flags.boolean("unpack")?,
    })
}

fn no_destination(keyword: &str) -> Cause {
    let text = "requires at least two arguments, but only one was provided. Destination could not be determined";
    Cause::Instruction(format!("{keyword} {text}"))
}

/// Returns the name behind `--from=`, which must not have to be expanded.
fn from(flags: &Flags) -> Result<Option<String>, Cause> {
    let from = flags.text("from")?.filter(|from| !from.is_empty());
    let plain = |from: &String| {
        let unchanged = expand::Expander::new('\\').word(from, &|_| None);
        unchanged.is_ok_and(|expanded| expanded.text == *from)
    };
    match from {
        Some(from) if !plain(&from) => Err(Cause::Text(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround".to_owned(),
        )),
        from => Ok(from),
    }
}

fn args(rest: &str, escape: char) -> Result<Vec<Arg>, String> {
    let words = words::quoted_words(rest, escape);
    if words.is_empty() {
        return Err("ARG requires at least one argument".to_owned());
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err("ARG names can not be blank".to_owned()),
            Some((name, value)) => Ok(Arg { name: name.to_owned(), value: Some(value.to_owned()) }),
            None => Ok(Arg { name: word, value: None }),
        })
        .collect()
}

fn pairs(rest: &str, escape: char, keyword: &str) -> Result<Vec<Pair>, Cause> {
    let pairs = key_values(rest, escape, keyword).map_err(Cause::Text)?;
    if pairs.is_empty() {
        return Err(Cause::Instruction(format!("{keyword} requires at least one argument")));
    }
    if pairs.iter().any(|pair| pair.key.is_empty()) {
        return Err(Cause::Instruction(format!("{keyword} names can not be blank")));
    }
    Ok(pairs)
}

fn key_values(rest: &str, escape: char, keyword: &str) -> Result<Vec<Pair>, String> {
    let words = words::quoted_words(rest, escape);
    match words.first() {
        None => Ok(Vec::new()),
        Some(first) if first.contains('=') => {
            let pair = |word: &String| match word.split_once('=') {
                Some((key, value)) => Ok(Pair { key: key.to_owned(), value: value.to_owned(), legacy: false }),
                None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
            };
            words.iter().map(pair).collect()
        }
        Some(_) => {
            let split = rest.split_once(words::BLANK);
            let (key, value) = split.ok_or_else(|| format!("{keyword} must have two arguments"))?;
            let value = value.trim_start_matches(words::BLANK).to_owned();
            Ok(vec![Pair { key: key.to_owned(), value, legacy: true }])
        }
    }
}

/// Returns the trigger of an `ONBUILD`, with its heredocs put behind it.
fn on_build(line: &Line) -> Result<String, String> {
    let text = line.text.trim_start();
    let text = text[words::keyword(text).0.len()..].trim_start();
    match words::keyword(words::after_flags(text)).0.to_uppercase().as_str() {
        "ONBUILD" => return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        forbidden @ ("MAINTAINER" | "FROM") => return Err(format!("{forbidden} isn't allowed as an ONBUILD trigger")),
        _ => {}
    }
    let mut text = text.to_owned();
    for heredoc in &line.heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    Ok(text)
}
