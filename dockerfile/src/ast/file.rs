//! A parsed Dockerfile and its stages.

use super::instruction::Instruction;
use crate::error::Span;
use crate::lexer::{Comments, Directives};

/// Largest Dockerfile that is read.
pub const MAX_SIZE: usize = 1024 * 1024;

/// A parsed Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The parser directives: `# key=value` lines at its top.
    pub directives: Directives,
    /// The character that continues lines and protects characters: `\` or a backtick.
    pub escape: char,
    /// The `ARG`s before the first `FROM`.
    pub global_args: Vec<Instruction>,
    /// The stages, at least one.
    pub stages: Vec<Stage>,
    /// Last lines of the instructions that have blank lines between their own.
    pub blank_lines: Vec<usize>,
}

/// A stage: a `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name in lower case.
    pub name: Option<String>,
    /// The name of the base, not expanded.
    pub base: String,
    /// The value of `--platform`, not expanded.
    pub platform: Option<String>,
    /// The `FROM` line.
    pub original: String,
    /// The words of the line as they are written.
    pub written: Written,
    /// Where the `FROM` line is.
    pub span: Span,
    /// The comments above it.
    pub comments: Comments,
    /// The instructions after it.
    pub instructions: Vec<Instruction>,
}

/// The words of a `FROM` line whose case is free, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The keyword.
    pub keyword: String,
    /// `AS`.
    pub as_word: Option<String>,
    /// The stage's name.
    pub name: Option<String>,
}
