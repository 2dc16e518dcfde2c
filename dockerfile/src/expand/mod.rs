//! Expansion of words: `$name`, `${name}` with its modifiers, quotes, escapes, as BuildKit does it.

mod expander;
mod pattern;
mod pieces;
mod result;
mod scanner;

pub use expander::Expander;
pub(crate) use expander::{shell_words, unquoted};
pub use result::{ExpandError, Expanded, Lookup};

#[cfg(test)]
mod tests;
