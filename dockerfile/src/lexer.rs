//! Physical lines to logical ones: directives, comments, continuations, heredoc bodies.

use crate::error::{ParseError, Span};
use crate::heredoc::{self, Heredoc};

/// Longest physical line.
const MAX_LINE: usize = 65535;

/// The parser directives: `# key=value` lines at the top of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`: noted, never followed.
    pub syntax: Option<String>,
    /// `# escape=`.
    pub escape: Option<String>,
    /// `# check=`.
    pub check: Option<String>,
}

/// A logical line: an instruction with its continuation lines joined, and its heredocs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The joined text.
    pub text: String,
    /// Where it is.
    pub span: Span,
    /// The heredocs that follow it.
    pub heredocs: Vec<Heredoc>,
    /// The comments above it.
    pub comments: Comments,
}

/// Comments above an instruction, without `#`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comments {
    /// All since the last instruction or empty comment.
    pub lines: Vec<String>,
    /// The one directly above it, which may describe what it declares.
    pub description: Option<String>,
}

impl Comments {
    /// Returns what is said of `name`: the rest of the comment that begins with it.
    pub fn about(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    }
}

/// The logical lines of a file.
pub(crate) struct Lexed {
    /// The directives.
    pub directives: Directives,
    /// The continuation character.
    pub escape: char,
    /// The logical lines.
    pub lines: Vec<Line>,
    /// Last lines of the instructions that have blank lines between their own.
    pub blank_lines: Vec<usize>,
}

/// Takes a file apart.
pub(crate) fn lex(text: &[u8]) -> Result<Lexed, ParseError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        let span = Span { first_line: 1, last_line: 1, column: 1 };
        return Err(ParseError::text(span, "the Dockerfile is UTF-16: it must be UTF-8"));
    }
    let text = String::from_utf8_lossy(text);
    let mut lexer = Lexer {
        rest: text.split_inclusive('\n').enumerate(),
        at: 0,
        escape: '\\',
        directives: Some(Directives::default()),
        comments: Comments::default(),
        lexed: Lexed { directives: Directives::default(), escape: '\\', lines: Vec::new(), blank_lines: Vec::new() },
    };
    while let Some(line) = lexer.physical()? {
        lexer.logical(line)?;
    }
    lexer.end_directives();
    Ok(Lexed { escape: lexer.escape, ..lexer.lexed })
}

struct Lexer<'t, I: Iterator<Item = (usize, &'t str)>> {
    rest: I,
    /// Number of the line that was read last.
    at: usize,
    escape: char,
    /// The directives so far, as long as there may be more.
    directives: Option<Directives>,
    /// The comments since the last instruction.
    comments: Comments,
    lexed: Lexed,
}

impl<'t, I: Iterator<Item = (usize, &'t str)>> Lexer<'t, I> {
    /// Returns the next line, with its newline.
    fn physical(&mut self) -> Result<Option<&'t str>, ParseError> {
        let Some((index, line)) = self.rest.next() else { return Ok(None) };
        self.at = index + 1;
        if line.strip_suffix('\n').unwrap_or(line).len() > MAX_LINE {
            let span = Span { first_line: self.at, last_line: self.at, column: 1 };
            return Err(ParseError::text(span, format!("dockerfile line greater than max allowed size of {MAX_LINE}")));
        }
        Ok(Some(line))
    }

    fn logical(&mut self, first: &'t str) -> Result<(), ParseError> {
        let start = self.at;
        let stripped = without_newline(first).trim_start_matches(is_space);
        let span = Span {
            first_line: start,
            last_line: start,
            column: first.chars().count() - first.trim_start_matches(is_space).chars().count() + 1,
        };
        let directive = self.directive(stripped, span)?;
        if is_comment(stripped) {
            if !directive {
                self.comment(stripped);
            }
            return Ok(());
        }
        let (mut text, mut ended) = self.continued(stripped);
        if ended && text.is_empty() {
            self.comments.description = None;
            return Ok(());
        }
        let mut blank_lines = false;
        while !ended {
            let Some(line) = self.physical()? else { break };
            let line = without_newline(line);
            if is_comment(line.trim_start_matches(is_space)) {
                continue;
            }
            if line.trim_start_matches(is_space).is_empty() {
                blank_lines = true;
                continue;
            }
            let (more, end) = self.continued(line);
            text.push_str(&more);
            ended = end;
        }
        let span = Span { last_line: self.at, ..span };
        if text.contains('\0') {
            return Err(ParseError::instruction(span, "the instruction holds a NUL character: a Dockerfile is text"));
        }
        self.lexed.blank_lines.extend(blank_lines.then_some(self.at));
        let heredocs = self.heredocs(&text, span)?;
        let comments = std::mem::take(&mut self.comments);
        self.lexed.lines.push(Line { text, span: Span { last_line: self.at, ..span }, heredocs, comments });
        Ok(())
    }

    fn comment(&mut self, stripped: &str) {
        let comment = stripped.trim_start_matches('#').trim();
        if comment.is_empty() {
            self.comments = Comments::default();
        } else {
            self.comments.description = Some(comment.to_owned());
            self.comments.lines.push(comment.to_owned());
        }
    }

    /// Returns a line without its continuation character, and whether it ended the instruction.
    fn continued(&self, line: &str) -> (String, bool) {
        let trimmed = line.trim_end_matches([' ', '\t']);
        match trimmed.strip_suffix(self.escape) {
            Some(before) if !before.ends_with(self.escape) => (before.to_owned(), false),
            _ => (line.to_owned(), true),
        }
    }

    /// Reads the bodies of the heredocs that a line announces.
    fn heredocs(&mut self, text: &str, span: Span) -> Result<Vec<Heredoc>, ParseError> {
        let mut heredocs = heredoc::announced(text);
        for heredoc in &mut heredocs {
            let mut content = String::new();
            loop {
                let Some(line) = self.physical()? else {
                    let span = Span { last_line: self.at, ..span };
                    return Err(ParseError::text(span, "unterminated heredoc"));
                };
                let bare = without_newline(line);
                let terminator = if heredoc.chomp { bare.trim_start_matches('\t') } else { bare };
                if terminator == heredoc.name {
                    break;
                }
                content.push_str(line);
            }
            heredoc.content = content;
        }
        Ok(heredocs)
    }

    /// Takes note of a directive, as long as there may be some; tells whether it is one.
    fn directive(&mut self, line: &str, span: Span) -> Result<bool, ParseError> {
        let Some(mut directives) = self.directives.take() else { return Ok(false) };
        let Some((key, value)) = parse_directive(line) else {
            self.lexed.directives = directives;
            return Ok(false);
        };
        let slot = match key.as_str() {
            "syntax" => &mut directives.syntax,
            "escape" => &mut directives.escape,
            "check" => &mut directives.check,
            _ => {
                self.lexed.directives = directives;
                return Ok(false);
            }
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(ParseError::text(span, format!("only one {key} parser directive can be used")));
        }
        if key == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    return Err(ParseError::text(
                        span,
                        format!("invalid escape token '{value}' does not match ` or \\"),
                    ));
                }
            };
        }
        self.directives = Some(directives);
        Ok(true)
    }

    fn end_directives(&mut self) {
        if let Some(directives) = self.directives.take() {
            self.lexed.directives = directives;
        }
    }
}

/// Parses `# key = value`.
fn parse_directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.strip_prefix('#')?.trim_start().split_once('=')?;
    let (key, value) = (key.trim_end(), value.trim());
    let word = key.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (word && !value.is_empty()).then(|| (key.to_lowercase(), value))
}

fn without_newline(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

fn is_comment(stripped: &str) -> bool {
    stripped.starts_with('#')
}

/// Tells whether Go's `unicode.IsSpace` holds, which decides what is trimmed before instructions.
fn is_space(character: char) -> bool {
    character.is_whitespace()
}
