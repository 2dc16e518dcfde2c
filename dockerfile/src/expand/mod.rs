//! Expansion of words: `$name`, `${name}` with its modifiers, quotes, escapes, as BuildKit does it.

mod pattern;
mod pieces;
mod scanner;

use scanner::{Mode, Quotes, Scanner, Unset};

/// A word that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpandError(String);

/// A word after expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// The text split at white space that neither quotes nor escapes protect; words without a letter are left out.
    pub words: Vec<String>,
    /// Names of variables that were set.
    pub used: Vec<String>,
    /// Names of variables that were not set, and for which the word has no default.
    pub unset: Vec<String>,
    /// How much had to be done for its patterns, in characters looked at.
    pub work: usize,
}

/// Looks variables up.
pub type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

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
pub fn shell_words(line: &str) -> Vec<String> {
    let mode = Mode { quotes: Quotes::Raw, raw_escapes: true, unset: Unset::Kept, heredocs: true, ..Mode::default() };
    Scanner::new(line, mode, &|_| None).finish().map(|expanded| expanded.words).unwrap_or_default()
}

/// Returns the one word that `text` is after its quotes are removed, and whether any were.
pub fn unquoted(text: &str) -> Option<(String, bool)> {
    let split = |quotes| {
        let mode = Mode { quotes, unset: Unset::Kept, ..Mode::default() };
        Scanner::new(text, mode, &|_| None).finish().ok().map(|expanded| expanded.words)
    };
    let quotes = |word: &str| word.matches(['\'', '"']).count();
    let [word] = <[String; 1]>::try_from(split(Quotes::Removed)?).ok()?;
    let [raw] = <[String; 1]>::try_from(split(Quotes::Raw)?).ok()?;
    let quoted = quotes(&word) != quotes(&raw);
    Some((word, quoted))
}

#[cfg(test)]
mod tests;
