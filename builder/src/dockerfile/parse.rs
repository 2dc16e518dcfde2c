//! Logical lines to instructions: which arguments each takes, and what is wrong with those it got.

use super::error::{ParseError, Span};
use super::exec;
use super::flags::Flags;
use super::health;
use super::heredoc::{self, Heredoc};
use super::instruction::{Arg, Command, Copy, Instruction, InstructionKind, Pair, Run, RunNetwork, RunSecurity};
use super::lexer::{self, Line};
use super::suggest::hint;
use super::words;
use super::{Dockerfile, MAX_SIZE, Stage};

/// The keywords.
const KEYWORDS: [&str; 18] = [
    "add",
    "arg",
    "cmd",
    "copy",
    "entrypoint",
    "env",
    "expose",
    "from",
    "healthcheck",
    "label",
    "maintainer",
    "onbuild",
    "run",
    "shell",
    "stopsignal",
    "user",
    "volume",
    "workdir",
];
const COPY_FLAGS: [&str; 6] = ["from", "chown", "chmod", "link", "parents", "exclude"];
const ADD_FLAGS: [&str; 7] = ["chown", "chmod", "link", "keep-git-dir", "checksum", "exclude", "unpack"];
const RUN_FLAGS: [&str; 4] = ["mount", "network", "security", "device"];

/// Parses a whole file.
pub fn file(text: &[u8]) -> Result<Dockerfile, ParseError> {
    if text.len() > MAX_SIZE {
        return Err(ParseError::text(Span::default(), format!("the Dockerfile is larger than {MAX_SIZE} bytes")));
    }
    if text.is_empty() {
        return Err(ParseError::text(Span::default(), "the Dockerfile cannot be empty"));
    }
    let lexed = lexer::lex(text)?;
    if lexed.lines.is_empty() {
        return Err(ParseError::text(Span::default(), "file with no instructions"));
    }
    let mut file = Dockerfile {
        directives: lexed.directives,
        escape: lexed.escape,
        global_args: Vec::new(),
        stages: Vec::new(),
        warnings: lexed.warnings,
    };
    for line in &lexed.lines {
        let (keyword, arguments) = words::keyword(&line.text);
        if keyword.eq_ignore_ascii_case("from") {
            file.stages.push(from(line, arguments).map_err(|cause| ParseError::instruction(line.span, cause))?);
            continue;
        }
        let instruction = instruction(line, lexed.escape)?;
        match file.stages.last_mut() {
            Some(stage) => stage.instructions.push(instruction),
            None if matches!(instruction.kind, InstructionKind::Arg(_)) => file.global_args.push(instruction),
            None => return Err(ParseError::instruction(line.span, "no build stage in current context")),
        }
    }
    if file.stages.is_empty() {
        return Err(ParseError::text(Span::default(), "dockerfile contains no stages to build"));
    }
    Ok(file)
}

/// Parses the instruction of an `ONBUILD`, which runs as if it stood where `span` is.
pub fn parse_trigger(text: &str, escape: char, span: Span) -> Result<Instruction, ParseError> {
    let (first, bodies) = text.split_once('\n').unwrap_or((text, ""));
    let mut line = Line { text: first.to_owned(), span, heredocs: heredoc::announced(first) };
    let mut rest = bodies;
    for heredoc in &mut line.heredocs {
        while let Some((body, after)) = rest.split_once('\n').or((!rest.is_empty()).then_some((rest, ""))) {
            rest = after;
            if body.trim_start_matches('\t') == heredoc.name {
                break;
            }
            heredoc.content.push_str(body);
            heredoc.content.push('\n');
        }
    }
    let parsed = instruction(&line, escape)?;
    Ok(Instruction { span, ..parsed })
}

fn from(line: &Line, arguments: &str) -> Result<Stage, String> {
    let (flags, rest) = words::split_flags(arguments);
    let flags = Flags::new(flags, &["platform"], &[])?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words.as_slice() {
        [base] => (*base, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (*base, Some(stage_name(name)?)),
        _ => return Err("FROM requires either one or three arguments".to_owned()),
    };
    Ok(Stage {
        name,
        base: base.to_owned(),
        platform: flags.text("platform")?,
        original: line.text.trim().to_owned(),
        span: line.span,
        instructions: Vec::new(),
    })
}

fn stage_name(text: &str) -> Result<String, String> {
    let name = text.to_lowercase();
    let fine = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
    if fine {
        Ok(name)
    } else {
        Err(format!("invalid name for build stage: {text:?}, name can't start with a number or contain symbols"))
    }
}

fn instruction(line: &Line, escape: char) -> Result<Instruction, ParseError> {
    let fail = |cause: String| ParseError::instruction(line.span, cause);
    let (keyword, arguments) = words::keyword(&line.text);
    let lower = keyword.to_lowercase();
    if !KEYWORDS.contains(&lower.as_str()) {
        return Err(fail(format!("unknown instruction: {keyword}{}", hint(keyword, KEYWORDS))));
    }
    let kind = kind(&lower, arguments, (line, escape)).map_err(|cause| match cause {
        Cause::Instruction(cause) => fail(cause),
        Cause::Text(cause) => ParseError::text(line.span, cause),
    })?;
    Ok(Instruction {
        span: line.span,
        original: format!("{} {arguments}", keyword.to_uppercase()).trim().to_owned(),
        kind,
    })
}

/// Why an instruction is refused: what BuildKit reports with the line's number in front, and what without.
enum Cause {
    Instruction(String),
    Text(String),
}

impl From<String> for Cause {
    fn from(cause: String) -> Self {
        Cause::Instruction(cause)
    }
}

impl From<exec::NotStrings> for Cause {
    fn from(cause: exec::NotStrings) -> Self {
        Cause::Text(cause.to_string())
    }
}

fn kind(keyword: &str, arguments: &str, (line, escape): (&Line, char)) -> Result<InstructionKind, Cause> {
    let (words, rest) = words::split_flags(arguments);
    let upper = keyword.to_uppercase();
    let no_flags = || Flags::new(words.clone(), &[], &[]).map(drop);
    let value =
        || if rest.is_empty() { Err(format!("{upper} requires exactly one argument")) } else { Ok(rest.to_owned()) };
    Ok(match keyword {
        "add" => {
            InstructionKind::Add(Box::new(copy(&Flags::new(words, &ADD_FLAGS, &["exclude"])?, rest, (line, "ADD"))?))
        }
        "copy" => {
            InstructionKind::Copy(Box::new(copy(&Flags::new(words, &COPY_FLAGS, &["exclude"])?, rest, (line, "COPY"))?))
        }
        "run" => {
            InstructionKind::Run(Box::new(run(&Flags::new(words, &RUN_FLAGS, &["mount", "device"])?, rest, line)?))
        }
        "healthcheck" => InstructionKind::Healthcheck(health::parse(&Flags::new(words, &health::FLAGS, &[])?, rest)?),
        // These two have always dropped what looks like a flag.
        "arg" => InstructionKind::Arg(args(rest, escape)?),
        "stopsignal" => InstructionKind::StopSignal(value()?),
        "onbuild" => InstructionKind::OnBuild(on_build(arguments, line)?),
        _ => {
            no_flags()?;
            plain(keyword, rest, (escape, &value))?
        }
    })
}

fn plain(
    keyword: &str,
    rest: &str,
    (escape, value): (char, &dyn Fn() -> Result<String, String>),
) -> Result<InstructionKind, Cause> {
    let at_least_one = |upper: &str| format!("{upper} requires at least one argument");
    Ok(match keyword {
        "cmd" => InstructionKind::Cmd(command(rest)?),
        "entrypoint" if rest.is_empty() => return Err(Cause::Instruction(at_least_one("ENTRYPOINT"))),
        "entrypoint" => InstructionKind::Entrypoint(command(rest)?),
        "env" => InstructionKind::Env(pairs(rest, escape, "ENV")?),
        "label" => InstructionKind::Label(pairs(rest, escape, "LABEL")?),
        "expose" if rest.is_empty() => return Err(Cause::Instruction(at_least_one("EXPOSE"))),
        "expose" => InstructionKind::Expose(rest.split_whitespace().map(str::to_owned).collect()),
        "shell" => match exec::parse(rest)? {
            Some(words) if words.is_empty() => return Err(Cause::Instruction(at_least_one("SHELL"))),
            Some(words) => InstructionKind::Shell(words),
            None if rest.is_empty() => return Err(Cause::Instruction(at_least_one("SHELL"))),
            None => return Err(Cause::Instruction("SHELL requires the arguments to be in JSON form".to_owned())),
        },
        "volume" => {
            let volumes = list(rest)?;
            if volumes.is_empty() {
                return Err(Cause::Instruction(at_least_one("VOLUME")));
            }
            if volumes.iter().any(|volume| volume.trim().is_empty()) {
                return Err(Cause::Instruction("VOLUME specified can not be an empty string".to_owned()));
            }
            InstructionKind::Volume(volumes)
        }
        "maintainer" => InstructionKind::Maintainer(value()?),
        "user" => InstructionKind::User(value()?),
        _ => InstructionKind::Workdir(value()?),
    })
}

fn command(text: &str) -> Result<Command, exec::NotStrings> {
    Ok(match exec::parse(text)? {
        Some(words) => Command::Exec(words),
        None => Command::Shell(text.to_owned()),
    })
}

/// Parses a JSON array, or words.
fn list(text: &str) -> Result<Vec<String>, exec::NotStrings> {
    Ok(exec::parse(text)?.unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect()))
}

fn run(flags: &Flags, rest: &str, line: &Line) -> Result<Run, Cause> {
    let command = command(rest)?;
    if command == Command::Exec(Vec::new()) {
        return Err(Cause::Instruction("RUN requires at least one argument".to_owned()));
    }
    let network = match flags.text("network")?.as_deref() {
        None | Some("default") => RunNetwork::Default,
        Some("none") => RunNetwork::None,
        Some("host") => RunNetwork::Host,
        Some(other) => return Err(Cause::Instruction(format!("invalid network mode {other:?}"))),
    };
    let security = match flags.text("security")?.as_deref() {
        None | Some("sandbox") => RunSecurity::Sandbox,
        Some("insecure") => RunSecurity::Insecure,
        Some(other) => return Err(Cause::Instruction(format!("security {other:?} is not valid"))),
    };
    let mounts = flags.texts("mount")?;
    for mount in &mounts {
        // Checked now as far as that is possible: values may hold variables, which stand for anything.
        let unexpanded = |value: &str| Ok(value.to_owned());
        if !mount.contains('$') {
            super::mount::parse_mount(mount, &unexpanded)?;
        }
    }
    Ok(Run { command, heredocs: line.heredocs.clone(), mounts, network, security })
}

fn copy(flags: &Flags, rest: &str, (line, keyword): (&Line, &str)) -> Result<Copy, Cause> {
    let words = match exec::parse(rest)? {
        Some(words) => words,
        None if line.heredocs.is_empty() => rest.split_whitespace().map(str::to_owned).collect(),
        None => words::shell_words(rest),
    };
    if words.len() < 2 {
        let text = match words.len() {
            1 => format!(
                "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined"
            ),
            _ => format!("{keyword} requires at least two arguments"),
        };
        return Err(Cause::Instruction(text));
    }
    let (destination, sources) = words.split_last().expect("there are at least two words");
    let heredocs: Vec<Heredoc> = line.heredocs.clone();
    if !heredocs.is_empty() && heredoc::parse(destination).is_some() {
        return Err(Cause::Instruction(format!("{keyword} cannot accept a heredoc as a destination")));
    }
    let sources: Vec<String> =
        sources.iter().filter(|source| heredocs.is_empty() || heredoc::parse(source).is_none()).cloned().collect();
    let from = flags.text("from")?.filter(|from| !from.is_empty());
    if from.as_deref().is_some_and(|from| from.contains('$')) {
        let text = "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";
        return Err(Cause::Instruction(text.to_owned()));
    }
    Ok(Copy {
        sources,
        heredocs,
        destination: destination.clone(),
        from,
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
    let words = words::quoted_words(rest, escape);
    let Some(first) = words.first() else {
        return Err(Cause::Instruction(format!("{keyword} requires at least one argument")));
    };
    let pairs: Vec<Pair> = if first.contains('=') {
        let pair = |word: &String| match word.split_once('=') {
            Some((key, value)) => Ok(Pair { key: key.to_owned(), value: value.to_owned() }),
            None => {
                Err(Cause::Text(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")))
            }
        };
        words.iter().map(pair).collect::<Result<_, _>>()?
    } else {
        let (key, value) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| Cause::Text(format!("{keyword} must have two arguments")))?;
        vec![Pair { key: key.to_owned(), value: value.trim_start().to_owned() }]
    };
    if pairs.iter().any(|pair| pair.key.is_empty()) {
        return Err(Cause::Instruction(format!("{keyword} names can not be blank")));
    }
    Ok(pairs)
}

fn on_build(arguments: &str, line: &Line) -> Result<String, Cause> {
    let (keyword, _) = words::keyword(arguments);
    match keyword.to_uppercase().as_str() {
        "" => return Err(Cause::Instruction("ONBUILD requires at least one argument".to_owned())),
        "ONBUILD" => return Err(Cause::Instruction("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned())),
        forbidden @ ("MAINTAINER" | "FROM") => {
            return Err(Cause::Instruction(format!("{forbidden} isn't allowed as an ONBUILD trigger")));
        }
        _ => {}
    }
    let mut text = arguments.to_owned();
    for heredoc in &line.heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    Ok(text)
}
