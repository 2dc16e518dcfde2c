//! The input and the result of an expansion.

/// A word that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpandError(pub(super) String);

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
