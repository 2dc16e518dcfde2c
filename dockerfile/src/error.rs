//! Errors of parsing: what is wrong and where.

/// A piece of a Dockerfile: lines count from 1, the column from 1 in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first line.
    pub first_line: usize,
    /// The last line, heredocs included.
    pub last_line: usize,
    /// The column at which it begins on the first line.
    pub column: usize,
}

/// A text that is not a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    message: String,
    span: Span,
}

impl ParseError {
    /// Returns the error of an instruction, with the words BuildKit begins it with.
    pub fn instruction(span: Span, cause: impl std::fmt::Display) -> Self {
        ParseError::text(span, format!("dockerfile parse error on line {}: {cause}", span.first_line))
    }

    /// Returns an error of the text itself.
    pub fn text(span: Span, message: impl Into<String>) -> Self {
        ParseError { message: crate::quote::printable(&message.into()), span }
    }

    /// Returns the same error at another place, where what it is about has its effect.
    #[must_use]
    pub fn moved(self, span: Span) -> Self {
        ParseError { span, ..self }
    }

    /// Returns where it is.
    pub fn span(&self) -> Span {
        self.span
    }
}
