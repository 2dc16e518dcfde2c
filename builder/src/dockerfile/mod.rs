//! Dockerfiles: text in, typed instructions with positions out, as BuildKit reads them.
//!
//! Nothing is expanded here and nothing is looked up: that needs base images and is the plan's part. The expansion itself
//! is in [`expand`].

mod arguments;
mod check;
mod error;
mod exec;
pub mod expand;
mod flags;
mod health;
mod heredoc;
mod instruction;
mod lexer;
mod mount;
mod parse;
mod port;
mod quote;
pub mod rules;
mod signal;
mod snippet;
mod style;
mod suggest;
mod syntax;
mod words;

pub use check::Check;
pub use error::{ParseError, Span};
pub use heredoc::{Heredoc, is_alone as is_heredoc_alone};
pub use instruction::{
    Arg, Command, Copy, HealthcheckFlags, Instruction, InstructionKind, Mount, MountKind, Pair, Run, RunNetwork,
    RunSecurity,
};
pub use lexer::{Comments, Directives};
pub use mount::{mount_from, parse_mount};
pub use parse::parse_trigger;
pub use port::{Port, parse_port};
pub use quote::{go_quoted, printable};
pub use rules::{Rule, Warning};
pub use signal::is_signal;
pub use snippet::{snippet, snippet_of_error};
pub use style::check as check_style;
pub use suggest::{suggest, suggest_name};
pub use syntax::foreign_syntax;

/// Largest Dockerfile that is read.
pub const MAX_SIZE: usize = 1024 * 1024;

/// A parsed Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// What stands in `# key=value` lines at its top.
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
    /// What it starts from, not expanded.
    pub base: String,
    /// The value of `--platform`, not expanded.
    pub platform: Option<String>,
    /// The `FROM` line.
    pub original: String,
    /// What of it is written in one case or the other.
    pub written: Written,
    /// Where the `FROM` line is.
    pub span: Span,
    /// The comments above it.
    pub comments: Comments,
    /// The instructions after it.
    pub instructions: Vec<Instruction>,
}

/// What of a `FROM` line may be written in one case or the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The keyword.
    pub keyword: String,
    /// `AS`.
    pub as_word: Option<String>,
    /// The stage's name.
    pub name: Option<String>,
}

impl Dockerfile {
    /// Parses a Dockerfile.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        parse::file(text)
    }
}

#[cfg(test)]
mod tests;
