//! Walks over a word and expands it on the way.

use super::pattern::Pattern;
use super::pieces::Pieces;
use super::result::{ExpandError, Expanded, Lookup};
use std::iter::Peekable;
use std::str::Chars;

/// The characters that are special in the text, and their effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    /// The character that protects the next one.
    pub escape: char,
    /// The treatment of quotes.
    pub quotes: Quotes,
    /// Whether escape characters stay.
    pub raw_escapes: bool,
    /// The treatment of variables that are not set.
    pub unset: Unset,
    /// Whether white space after `<<` belongs to the word.
    pub heredocs: bool,
}

impl Default for Mode {
    fn default() -> Self {
        Mode { escape: '\\', quotes: Quotes::Removed, raw_escapes: false, unset: Unset::Empty, heredocs: false }
    }
}

/// The treatment of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// They protect what they enclose and are removed.
    Removed,
    /// They protect what they enclose and stay.
    Raw,
    /// They are characters like others.
    Plain,
}

/// The treatment of variables that are not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unset {
    /// They become the empty text.
    Empty,
    /// They stay as they are written.
    Verbatim,
}

/// The walk.
pub(crate) struct Scanner<'t> {
    rest: Peekable<Chars<'t>>,
    mode: Mode,
    lookup: Lookup<'t>,
    used: Vec<String>,
    unset: Vec<String>,
    work: usize,
    /// How deep in `${…${…}}` it is: every level is a call, so there is a limit.
    depth: usize,
}

/// Deepest nesting that is followed; nobody writes it by hand.
const MAX_DEPTH: usize = 200;

/// Longest text that a word may expand to.
const MAX_EXPANDED: usize = 1024 * 1024;

/// Most characters that the patterns of one word may look at.
const MAX_WORK: usize = 4 * 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum NullIs {
    Set,
    Unset,
}

impl<'t> Scanner<'t> {
    /// Begins at the start of `text`.
    pub(crate) fn new(text: &'t str, mode: Mode, lookup: Lookup<'t>) -> Self {
        Scanner { rest: text.chars().peekable(), mode, lookup, used: Vec::new(), unset: Vec::new(), work: 0, depth: 0 }
    }

    /// Walks to the end.
    pub(crate) fn finish(mut self) -> Result<Expanded, ExpandError> {
        let (pieces, _) = self.until(None, self.mode.raw_escapes)?;
        let (text, words) = pieces.into_parts();
        Ok(Expanded { text, words, used: self.used, unset: self.unset, work: self.work })
    }

    /// Expands up to `stop`, which is taken too; tells whether it was there.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<(Pieces, bool), ExpandError> {
        let mut pieces = Pieces::default();
        while let Some(&next) = self.rest.peek() {
            if Some(next) == stop {
                self.rest.next();
                return Ok((pieces, true));
            }
            let quotes = self.mode.quotes != Quotes::Plain;
            match next {
                '$' => {
                    pieces.add_value(&self.dollar()?);
                    bounded(&pieces.text)?;
                }
                '\'' if quotes => pieces.add_quoted(&self.single_quoted()?),
                '"' if quotes => pieces.add_quoted(&self.double_quoted(raw_escapes)?),
                '<' if self.mode.heredocs => pieces.add_quoted(&self.redirection()),
                next if next == self.mode.escape => {
                    self.rest.next();
                    if raw_escapes {
                        pieces.add_protected(next);
                    }
                    if let Some(protected) = self.rest.next() {
                        pieces.add_protected(protected);
                    }
                }
                next => {
                    self.rest.next();
                    pieces.add(next);
                }
            }
        }
        Ok((pieces, stop.is_none()))
    }

    /// Takes `<`, or `<<` and the white space after it, which belongs to the word.
    fn redirection(&mut self) -> String {
        let mut taken = String::from('<');
        self.rest.next();
        if let Some(second) = self.rest.next_if_eq(&'<') {
            taken.push(second);
            taken.extend(self.rest.next_if_eq(&'-'));
            while let Some(blank) = self.rest.next_if(|letter| letter.is_whitespace()) {
                taken.push(blank);
            }
        }
        taken
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        let mut result = String::new();
        let quote = self.rest.next();
        let raw = self.mode.quotes == Quotes::Raw;
        result.extend(quote.filter(|_| raw));
        loop {
            match self.rest.next() {
                Some('\'') => {
                    result.extend(quote.filter(|_| raw));
                    return Ok(result);
                }
                Some(letter) => result.push(letter),
                None => return Err(unbalanced("single")),
            }
        }
    }

    fn double_quoted(&mut self, raw_escapes: bool) -> Result<String, ExpandError> {
        let mut result = String::new();
        let quote = self.rest.next();
        let raw = self.mode.quotes == Quotes::Raw;
        result.extend(quote.filter(|_| raw));
        loop {
            match self.rest.peek().copied() {
                None => return Err(unbalanced("double")),
                Some('"') => {
                    self.rest.next();
                    result.extend(quote.filter(|_| raw));
                    return Ok(result);
                }
                Some('$') => {
                    result.push_str(&self.dollar()?);
                    bounded(&result)?;
                }
                Some(letter) => {
                    self.rest.next();
                    if letter == self.mode.escape {
                        self.escaped_in_quotes(&mut result, raw_escapes);
                    } else {
                        result.push(letter);
                    }
                }
            }
        }
    }

    /// Adds an escape in double quotes: only a quote, a dollar and the escape itself can be protected.
    fn escaped_in_quotes(&mut self, result: &mut String, raw_escapes: bool) {
        let escape = self.mode.escape;
        match self.rest.peek().copied() {
            Some(next) if next == '"' || next == '$' || next == escape => {
                result.extend(raw_escapes.then_some(escape));
                result.push(next);
                self.rest.next();
            }
            Some(_) => result.push(escape),
            None => {}
        }
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandError(format!("variables are nested deeper than {MAX_DEPTH} levels")));
        }
        let value = self.variable();
        self.depth -= 1;
        value
    }

    fn variable(&mut self) -> Result<String, ExpandError> {
        self.rest.next();
        if self.rest.peek() != Some(&'{') {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.plain(&name, format_args!("${name}")) });
        }
        self.rest.next();
        match self.rest.peek() {
            None => return Err(missing('}')),
            Some('{' | '}' | ':') => return Err(ExpandError("syntax error: bad substitution".to_owned())),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next() {
            None => Err(missing('}')),
            Some('}') => Ok(self.plain(&name, format_args!("${{{name}}}"))),
            Some(':') => {
                let modifier = self.rest.next().ok_or_else(|| missing('}'))?;
                match modifier {
                    '-' | '+' | '?' => self.default(&name, modifier, NullIs::Unset),
                    other => Err(unsupported(&format!(":{other}"))),
                }
            }
            Some(modifier @ ('-' | '+' | '?')) => self.default(&name, modifier, NullIs::Set),
            Some(side @ ('#' | '%')) => self.trim(&name, side),
            Some('/') => self.replace(&name),
            Some(other) => Err(unsupported(&other.to_string())),
        }
    }

    fn plain(&mut self, name: &str, written: std::fmt::Arguments<'_>) -> String {
        match self.value(name) {
            None if self.mode.unset == Unset::Verbatim => written.to_string(),
            value => value.unwrap_or_default(),
        }
    }

    /// `${name-word}`, `${name+word}`, `${name?word}`.
    fn default(&mut self, name: &str, modifier: char, null: NullIs) -> Result<String, ExpandError> {
        let word = self.word_until_brace(false)?;
        let value = self.value(name);
        if value.is_none() && self.mode.unset == Unset::Verbatim {
            let colon = if null == NullIs::Unset { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{modifier}{word}}}"));
        }
        let unset = value.is_none() || (null == NullIs::Unset && value.as_deref() == Some(""));
        match modifier {
            '-' => Ok(if unset { word } else { value.unwrap_or_default() }),
            '+' => Ok(if unset { String::new() } else { word }),
            _ if unset => {
                let plain = if value.is_none() { "is not allowed to be unset" } else { "is not allowed to be empty" };
                let message = if word.is_empty() { plain } else { &word };
                Err(ExpandError(format!("{name}: {message}")))
            }
            _ => Ok(value.unwrap_or_default()),
        }
    }

    /// `${name#pattern}`, `${name##pattern}`, `${name%pattern}`, `${name%%pattern}`.
    fn trim(&mut self, name: &str, side: char) -> Result<String, ExpandError> {
        let word = self.word_until_brace(true)?;
        let Some(value) = self.value(name).or((self.mode.unset == Unset::Empty).then(String::new)) else {
            return Ok(format!("${{{name}{side}{word}}}"));
        };
        let (longest, text) = word.strip_prefix(side).map_or((false, word.as_str()), |rest| (true, rest));
        self.look_at(&value, text)?;
        let pattern = Pattern::parse(text);
        let trimmed = pattern.and_then(|pattern| match side {
            '#' => pattern.trim_prefix(&value, longest),
            _ => pattern.trim_suffix(&value, longest),
        });
        trimmed.map_err(|cause| invalid_pattern(text, &cause))
    }

    /// `${name/pattern/word}`, `${name//pattern/word}`.
    fn replace(&mut self, name: &str) -> Result<String, ExpandError> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let (pattern, ended) = self.until(Some('/'), true)?;
        if !ended {
            return Err(ExpandError("syntax error: missing '/' in ${}".to_owned()));
        }
        let (text, word) = (pattern.text, self.word_until_brace(true)?);
        let Some(value) = self.value(name).or((self.mode.unset == Unset::Empty).then(String::new)) else {
            return Ok(format!("${{{name}/{text}/{word}}}"));
        };
        self.look_at(&value, &text)?;
        let replaced = Pattern::parse(&text).and_then(|pattern| pattern.replace(&value, &word, all));
        replaced.map_err(|cause| invalid_pattern(&text, &cause))
    }

    /// Counts the work of applying a pattern: each wildcard may look at the whole value, and it is made ready first.
    fn look_at(&mut self, value: &str, pattern: &str) -> Result<(), ExpandError> {
        const READY: usize = 30;
        let wildcards = pattern.matches(['*', '?']).count();
        self.work = self.work.saturating_add(value.len() * (1 + wildcards) + READY * pattern.len());
        if self.work <= MAX_WORK {
            return Ok(());
        }
        Err(ExpandError("its patterns have too much to look at".to_owned()))
    }

    fn word_until_brace(&mut self, raw_escapes: bool) -> Result<String, ExpandError> {
        match self.until(Some('}'), raw_escapes)? {
            (word, true) => Ok(word.text),
            (_, false) => Err(missing('}')),
        }
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        let names = if value.is_some() { &mut self.used } else { &mut self.unset };
        names.push(name.to_owned());
        value
    }

    /// Takes a name: letters, digits and underscores; a run of digits; or one special character.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(first) if first.is_ascii_digit() => {
                while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.rest.next()),
            _ => {
                while let Some(letter) = self.rest.next_if(|letter| letter.is_alphanumeric() || *letter == '_') {
                    name.push(letter);
                }
            }
        }
        name
    }
}

fn invalid_pattern(pattern: &str, cause: &str) -> ExpandError {
    ExpandError(format!("invalid pattern ({pattern}) in substitution: {cause}"))
}

/// Refuses a text that variables have made longer than anything can use: a few lines can double it again and again.
fn bounded(text: &str) -> Result<(), ExpandError> {
    if text.len() <= MAX_EXPANDED {
        return Ok(());
    }
    Err(ExpandError(format!("it expands to more than {MAX_EXPANDED} bytes")))
}

fn missing(what: char) -> ExpandError {
    ExpandError(format!("syntax error: missing '{what}'"))
}

fn unsupported(modifier: &str) -> ExpandError {
    ExpandError(format!("unsupported modifier ({modifier}) in substitution"))
}

fn unbalanced(kind: &str) -> ExpandError {
    ExpandError(format!("unexpected end of statement while looking for matching {kind}-quote"))
}
