//! The ways in which words are expanded: those of instructions, of heredocs, of lines for a shell.

use super::result::{ExpandError, Expanded, Lookup};
use super::scanner::{Mode, Quotes, Scanner, Unset};

/// Expands words of a Dockerfile with this escape character.
#[derive(Debug, Clone, Copy)]
pub struct Expander {
    escape: char,
}

impl Expander {
    /// Returns an expander.
    pub fn new(escape: char) -> Self {
        Expander { escape }
    }

    /// Expands one word.
    pub fn word(&self, word: &str, lookup: Lookup<'_>) -> Result<Expanded, ExpandError> {
        Scanner::new(word, Mode { escape: self.escape, ..Mode::default() }, lookup).finish()
    }

    /// Expands the body of a heredoc: quotes stay, the escape is always a backslash.
    pub fn heredoc(&self, body: &str, lookup: Lookup<'_>) -> Result<Expanded, ExpandError> {
        Scanner::new(body, Mode { quotes: Quotes::Plain, ..Mode::default() }, lookup).finish()
    }
}

/// Splits a line for a shell into words in which quotes, escapes and variables stay as they are; `<< WORD` is one word.
///
/// A line with a quote or a brace that is not closed has no words.
pub(crate) fn shell_words(line: &str) -> Vec<String> {
    let mode =
        Mode { quotes: Quotes::Raw, raw_escapes: true, unset: Unset::Verbatim, heredocs: true, ..Mode::default() };
    Scanner::new(line, mode, &|_| None).finish().map(|expanded| expanded.words).unwrap_or_default()
}

/// Returns the one word that `text` is after its quotes are removed, and whether any were.
pub(crate) fn unquoted(text: &str) -> Option<(String, bool)> {
    let split = |quotes| {
        let mode = Mode { quotes, unset: Unset::Verbatim, ..Mode::default() };
        Scanner::new(text, mode, &|_| None).finish().ok().map(|expanded| expanded.words)
    };
    let quotes = |word: &str| word.matches(['\'', '"']).count();
    let [word] = <[String; 1]>::try_from(split(Quotes::Removed)?).ok()?;
    let [raw] = <[String; 1]>::try_from(split(Quotes::Raw)?).ok()?;
    let quoted = quotes(&word) != quotes(&raw);
    Some((word, quoted))
}
