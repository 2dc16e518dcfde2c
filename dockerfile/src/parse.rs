//! Logical lines to stages and instructions.

use crate::arguments;
use crate::ast::{Dockerfile, MAX_SIZE, Stage, Written};
use crate::ast::{Instruction, InstructionKind};
use crate::cause::Cause;
use crate::error::{ParseError, Span};
use crate::flags::Flags;
use crate::lexer::{self, Comments, Line};
use crate::suggest::hint;
use crate::words;

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

impl Dockerfile {
    /// Parses a Dockerfile.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        file(text)
    }
}

/// Parses a whole file.
fn file(text: &[u8]) -> Result<Dockerfile, ParseError> {
    if text.len() > MAX_SIZE {
        let message = format!("the Dockerfile has {} bytes: at most {MAX_SIZE} are read", text.len());
        return Err(ParseError::text(Span::default(), message));
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
        blank_lines: lexed.blank_lines,
    };
    // Errors within a line are found before errors of its place among the others.
    for line in &lexed.lines {
        arguments::check_form(&line.text, lexed.escape).map_err(|cause| ParseError::text(line.span, cause))?;
    }
    for line in lexed.lines {
        let (keyword, arguments) = words::keyword(&line.text);
        if keyword.eq_ignore_ascii_case("from") {
            file.stages.push(from(&line, arguments).map_err(|cause| ParseError::instruction(line.span, cause))?);
            continue;
        }
        let instruction = instruction(&line, lexed.escape)?;
        match file.stages.last_mut() {
            Some(stage) => stage.instructions.push(instruction),
            None if matches!(instruction.kind, InstructionKind::Arg(_)) => file.global_args.push(instruction),
            None => return Err(ParseError::text(line.span, "no build stage in current context")),
        }
    }
    if file.stages.is_empty() {
        return Err(ParseError::text(Span::default(), "dockerfile contains no stages to build"));
    }
    Ok(file)
}

/// Parses the instruction of an `ONBUILD`, which runs as if it stood where `span` is.
pub(crate) fn parse_trigger(text: &str, span: Span) -> Result<Instruction, ParseError> {
    let at_from = |error: ParseError| error.moved(span);
    let mut lines = lexer::lex(text.as_bytes()).map_err(at_from)?.lines;
    let line = match (lines.pop(), lines.is_empty()) {
        (Some(line), true) => Line { span, ..line },
        _ => return Err(ParseError::text(span, "onbuild trigger should be a single expression")),
    };
    let (keyword, _) = words::keyword(&line.text);
    if let Some(forbidden) = ["FROM", "ONBUILD"].into_iter().find(|forbidden| keyword.eq_ignore_ascii_case(forbidden)) {
        return Err(ParseError::instruction(span, format!("{forbidden} isn't allowed as an ONBUILD trigger")));
    }
    let parsed = instruction(&line, '\\')?;
    Ok(Instruction { is_trigger: true, comments: Comments::default(), ..parsed })
}

fn from(line: &Line, arguments: &str) -> Result<Stage, String> {
    let (flags, rest) = words::split_flags(arguments);
    let words = words::blank_words(rest);
    let (base, as_word, name) = match words.as_slice() {
        [base] => (base, None, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (base, Some(word), Some(name)),
        _ => return Err("FROM requires either one or three arguments".to_owned()),
    };
    let stage_name = name.map(|name| stage_name(name)).transpose()?;
    let flags = Flags::new(flags, &["platform"], &[])?;
    Ok(Stage {
        name: stage_name,
        base: base.to_owned(),
        platform: flags.text("platform")?.filter(|platform| !platform.is_empty()),
        original: line.text.trim().to_owned(),
        written: Written {
            keyword: words::keyword(&line.text).0.to_owned(),
            as_word: as_word.cloned(),
            name: name.cloned(),
        },
        span: line.span,
        comments: line.comments.clone(),
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
    let kind = arguments::parse(&lower, arguments, line, escape).map_err(|cause| match cause {
        Cause::Instruction(cause) => fail(cause),
        Cause::Text(cause) => ParseError::text(line.span, cause),
    })?;
    Ok(Instruction {
        span: line.span,
        keyword: keyword.to_owned(),
        original: format!("{} {arguments}", keyword.to_uppercase()).trim().to_owned(),
        comments: line.comments.clone(),
        is_trigger: false,
        kind,
    })
}
