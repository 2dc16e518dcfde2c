//! `.dockerignore`: the patterns of an ignore file, in order.
//!
//! The matching is that of moby's `patternmatcher`: the last pattern that matches a path or one of its parents decides.

use crate::glob::Glob;
use crate::pattern;

/// An ignore file that cannot be used.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum IgnoreError {
    /// `!` without a pattern.
    #[error("illegal exclusion pattern: \"!\"")]
    NothingExcepted,
    /// A pattern that is malformed.
    #[error("`{0}`: syntax error in pattern")]
    Malformed(String),
}

/// The patterns of an ignore file, in order.
#[derive(Default, Clone)]
pub struct Ignore {
    patterns: Vec<Pattern>,
    /// The file's name in messages.
    name: String,
}

#[derive(Clone)]
struct Pattern {
    exception: bool,
    /// The cleaned text, by which it matches.
    body: String,
    form: Form,
    /// Line of the file, from 1, and its text, for messages.
    line: usize,
    text: String,
}

/// Shows what decides: messages alone need the rest.
impl std::fmt::Debug for Ignore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.patterns()).finish()
    }
}

/// Equal files hide the same paths; lines, names and spelling are for messages only.
impl PartialEq for Ignore {
    fn eq(&self, other: &Self) -> bool {
        self.patterns().eq(other.patterns())
    }
}

impl Eq for Ignore {}

#[derive(Debug, Clone)]
enum Form {
    Literal(Vec<u8>),
    Glob(Glob),
}

impl Ignore {
    /// Reads an ignore file.
    pub fn parse(text: &[u8]) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        Ignore::numbered(lines.map(|(number, line)| (number + 1, line.trim().to_owned(), cleaned(line))))
    }

    /// Says what the file is called in messages.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Ignore { name: name.trim_start_matches('/').to_owned(), ..self }
    }

    /// Takes patterns as they stand in an ignore file or in `--exclude`.
    pub fn new<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, IgnoreError> {
        let patterns = patterns.into_iter().enumerate();
        Ignore::numbered(
            patterns.map(|(number, text)| (number + 1, text.as_ref().to_owned(), text.as_ref().to_owned())),
        )
    }

    /// Takes patterns with their lines: number, text as it was written, text as it counts.
    fn numbered(lines: impl IntoIterator<Item = (usize, String, String)>) -> Result<Self, IgnoreError> {
        let mut parsed = Vec::new();
        for (line, written, text) in lines {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let (exception, body) = match text.strip_prefix('!') {
                Some("") => return Err(IgnoreError::NothingExcepted),
                Some(body) => (true, body),
                None => (false, text),
            };
            let body = clean(body);
            let form = form(&body)?;
            parsed.push(Pattern { exception, body, form, line, text: written });
        }
        Ok(Ignore { patterns: parsed, name: String::new() })
    }

    /// Returns the patterns that decide, cleaned, in order, exceptions with `!` in front.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        let mark = |exception| if exception { "!" } else { "" };
        self.patterns.iter().map(move |pattern| format!("{}{}", mark(pattern.exception), pattern.body))
    }

    /// Returns how many patterns there are.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Returns whether the list of patterns is empty.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Tells whether something below an ignored directory may be seen all the same.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.exception)
    }

    /// Tells whether `path` is ignored.
    pub fn ignores(&self, path: &[u8]) -> bool {
        self.decide(&self.matched(path))
    }

    /// Returns the line that hides `path`, in words.
    pub fn hiding(&self, path: &[u8]) -> Option<String> {
        let matched = self.matched(path);
        let last = self.patterns.iter().zip(matched).rev().find(|(_, matched)| *matched)?.0;
        let name = if self.name.is_empty() { ".dockerignore" } else { &self.name };
        (!last.exception).then(|| format!("{name} line {} (`{}`)", last.line, last.text))
    }

    /// Returns for each pattern whether it matches `path` or one of its parents.
    pub(super) fn matched(&self, path: &[u8]) -> Vec<bool> {
        let mut matched = vec![false; self.patterns.len()];
        for end in (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]) {
            self.add_matches(&path[..end], &mut matched);
        }
        matched
    }

    pub(super) fn add_matches(&self, path: &[u8], matched: &mut [bool]) {
        for (pattern, matched) in self.patterns.iter().zip(matched) {
            *matched = *matched || pattern.matches(path);
        }
    }

    pub(super) fn decide(&self, matched: &[bool]) -> bool {
        let last = self.patterns.iter().zip(matched).rev().find(|(_, matched)| **matched);
        last.is_some_and(|(pattern, _)| !pattern.exception)
    }
}

impl Pattern {
    fn matches(&self, path: &[u8]) -> bool {
        match &self.form {
            Form::Literal(literal) => literal == path,
            Form::Glob(glob) => glob.matches(&String::from_utf8_lossy(path)),
        }
    }
}

/// Cleans a line of the file as Go's `ignorefile` does, before the patterns are read.
fn cleaned(line: &str) -> String {
    let line = line.trim();
    let (mark, body) = match line.strip_prefix('!') {
        Some(body) => ("!", body.trim()),
        None => ("", line),
    };
    if body.is_empty() {
        return mark.to_owned();
    }
    let cleaned = clean(body);
    let cleaned = cleaned.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&cleaned);
    format!("{mark}{cleaned}")
}

/// Removes `.`, `..` and doubled slashes, as Go's `path.Clean` does.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            name => parts.push(name),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn form(text: &str) -> Result<Form, IgnoreError> {
    let malformed = || IgnoreError::Malformed(text.to_owned());
    pattern::matches(text, ".").map_err(|_| malformed())?;
    if !text.contains(['*', '?', '[', '\\']) {
        return Ok(Form::Literal(text.as_bytes().to_vec()));
    }
    Ok(Form::Glob(Glob::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_equal_that_hide_the_same() {
        let ignore = |text: &str| Ignore::parse(text.as_bytes()).unwrap();
        assert_eq!(ignore("# x\n\n/a/./b\n!c\n").named("other"), ignore("a/b\n!c"));
        assert_ne!(ignore("a\n!a"), ignore("!a\na"));
        assert_ne!(ignore("a"), ignore("!a"));
        assert_eq!(ignore("/a//b\n! c").patterns().collect::<Vec<_>>(), ["a/b", "!c"]);
    }

    fn ignores(text: &str, path: &str) -> bool {
        Ignore::parse(text.as_bytes()).unwrap().ignores(path.as_bytes())
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        assert!(ignores("*\n!a/b\na/b/tmp", "a/c"));
        assert!(!ignores("*\n!a/b\na/b/tmp", "a/b/x"));
        assert!(ignores("*\n!a/b\na/b/tmp", "a/b/tmp/x"));
    }

    #[test]
    fn two_stars_cross_directories_and_one_does_not() {
        assert!(ignores("**/*.o", "a/b/c.o"));
        assert!(ignores("**/*.o", "c.o"));
        assert!(!ignores("*.o", "a/c.o"));
        assert!(ignores("a/**", "a/b/c"));
        assert!(ignores("a/**/z", "a/z"));
        assert!(ignores("node_modules", "node_modules/x/y"));
        assert!(!ignores("node_modules", "a/node_modules"));
        assert!(ignores("a+b(1)", "a+b(1)"));
        assert!(ignores("?", "é"), "one character, not one byte");
    }

    #[test]
    fn lines_are_cleaned_as_in_go() {
        assert!(ignores("/a/./b/", "a/b"));
        assert!(ignores("\u{feff}a", "a"));
        assert!(!ignores("# a\n  \n", "# a"));
        assert!(!ignores("a\n! a", "a"));
        assert!(!ignores(".", "a"));
    }

    #[test]
    fn bad_patterns_are_refused() {
        assert_eq!(Ignore::parse(b"!").unwrap_err(), IgnoreError::NothingExcepted);
        assert_eq!(Ignore::parse(b"a[").unwrap_err(), IgnoreError::Malformed("a[".into()));
    }

    #[test]
    fn thousands_of_patterns_take_no_time() {
        // CTX-14
        let began = std::time::Instant::now();
        let mut text = String::from("!x/**/keep\na{2}(b|c)+\n");
        for number in 0..10_000 {
            text.push_str(["literal-", "dir/*.", "**/deep-", "!back-"][number % 4]);
            text.push_str(&format!("{number}\n"));
        }
        let ignore = Ignore::parse(text.as_bytes()).unwrap();
        for number in 0..500 {
            let path = format!("some/directory/deep-{number}/file-{number}");
            assert_eq!(ignore.ignores(path.as_bytes()), number % 4 == 2, "{path}");
        }
        assert!(ignores("**/**/**/..", "anything"), "the cleaned pattern matches");
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
