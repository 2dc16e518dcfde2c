//! Errors of bake files: which file, which line, and what is wrong there.

/// A bake file that cannot be resolved, or a request that does not fit it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{text}", self.place())]
pub struct Error {
    file: Option<String>,
    line: Option<usize>,
    text: String,
}

impl Error {
    /// Returns an error that has not been given its place yet.
    pub fn new(text: impl Into<String>) -> Self {
        Error { file: None, line: None, text: text.into() }
    }

    /// Returns the error with its place, unless it has one.
    #[must_use]
    pub fn at(mut self, file: &str, line: Option<usize>) -> Self {
        if self.file.is_none() {
            (self.file, self.line) = (Some(file.to_owned()), line);
        }
        self
    }

    /// Returns the error with words before it that say what was being done.
    #[must_use]
    pub fn within(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    fn place(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}: "),
            (Some(file), None) => format!("{file}: "),
            (None, _) => String::new(),
        }
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Error::new(text)
    }
}
