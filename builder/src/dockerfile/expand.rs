//! Expansion of words: `$name`, `${name}` with its modifiers, quotes, escapes, as BuildKit does it.

use super::pattern::Pattern;
use std::iter::Peekable;
use std::str::Chars;

/// A word that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpandError(String);

/// A word after expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// Names of variables that were not set.
    pub unset: Vec<String>,
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
        expand(word, (self.escape, Quotes::Removed), lookup)
    }

    /// Expands one word and splits the result at white space.
    pub fn words(&self, word: &str, lookup: Lookup<'_>) -> Result<Vec<String>, ExpandError> {
        Ok(self.word(word, lookup)?.text.split_whitespace().map(str::to_owned).collect())
    }

    /// Expands the body of a heredoc: quotes stay, the escape is always a backslash.
    pub fn heredoc(&self, body: &str, lookup: Lookup<'_>) -> Result<Expanded, ExpandError> {
        expand(body, ('\\', Quotes::Kept), lookup)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Removed,
    Kept,
}

fn expand(text: &str, (escape, quotes): (char, Quotes), lookup: Lookup<'_>) -> Result<Expanded, ExpandError> {
    let mut scanner = Scanner { rest: text.chars().peekable(), escape, quotes, lookup, unset: Vec::new() };
    let (expanded, _) = scanner.until(None, Escapes::Removed)?;
    Ok(Expanded { text: expanded, unset: scanner.unset })
}

/// Whether escape characters stay in the result: they do in patterns, which know them too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Removed,
    Kept,
}

struct Scanner<'t> {
    rest: Peekable<Chars<'t>>,
    escape: char,
    quotes: Quotes,
    lookup: Lookup<'t>,
    unset: Vec<String>,
}

impl Scanner<'_> {
    /// Expands up to `stop`, which is taken too; tells whether it was there.
    fn until(&mut self, stop: Option<char>, escapes: Escapes) -> Result<(String, bool), ExpandError> {
        let mut result = String::new();
        while let Some(&next) = self.rest.peek() {
            if Some(next) == stop {
                self.rest.next();
                return Ok((result, true));
            }
            match next {
                '$' => result.push_str(&self.dollar()?),
                '\'' if self.quotes == Quotes::Removed => self.single_quoted(&mut result)?,
                '"' if self.quotes == Quotes::Removed => self.double_quoted(&mut result, escapes)?,
                next if next == self.escape => {
                    self.rest.next();
                    if escapes == Escapes::Kept {
                        result.push(next);
                    }
                    result.extend(self.rest.next());
                }
                next => {
                    self.rest.next();
                    result.push(next);
                }
            }
        }
        Ok((result, stop.is_none()))
    }

    fn single_quoted(&mut self, result: &mut String) -> Result<(), ExpandError> {
        self.rest.next();
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(()),
                Some(letter) => result.push(letter),
                None => return Err(unbalanced("single")),
            }
        }
    }

    fn double_quoted(&mut self, result: &mut String, escapes: Escapes) -> Result<(), ExpandError> {
        self.rest.next();
        loop {
            match self.rest.peek().copied() {
                None => return Err(unbalanced("double")),
                Some('"') => {
                    self.rest.next();
                    return Ok(());
                }
                Some('$') => result.push_str(&self.dollar()?),
                Some(letter) => {
                    self.rest.next();
                    let special = |next: &char| matches!(next, '"' | '$') || *next == self.escape;
                    match self.rest.peek().copied().filter(|_| letter == self.escape) {
                        Some(next) if special(&next) => {
                            if escapes == Escapes::Kept {
                                result.push(letter);
                            }
                            result.push(next);
                            self.rest.next();
                        }
                        None if letter == self.escape => {}
                        _ => result.push(letter),
                    }
                }
            }
        }
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.rest.next();
        if self.rest.peek() != Some(&'{') {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.value(&name).unwrap_or_default() });
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
            Some('}') => Ok(self.value(&name).unwrap_or_default()),
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

    /// `${name-word}`, `${name+word}`, `${name?word}`.
    fn default(&mut self, name: &str, modifier: char, null: NullIs) -> Result<String, ExpandError> {
        let word = self.word_until_brace(Escapes::Removed)?;
        let value = (self.lookup)(name);
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
        let word = self.word_until_brace(Escapes::Kept)?;
        let (longest, pattern) = word.strip_prefix(side).map_or((false, word.as_str()), |rest| (true, rest));
        let pattern = Pattern::parse(pattern).map_err(ExpandError)?;
        let value = self.value(name).unwrap_or_default();
        Ok(if side == '#' { pattern.trim_prefix(&value, longest) } else { pattern.trim_suffix(&value, longest) })
    }

    /// `${name/pattern/word}`, `${name//pattern/word}`.
    fn replace(&mut self, name: &str) -> Result<String, ExpandError> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let (pattern, ended) = self.until(Some('/'), Escapes::Kept)?;
        if !ended {
            return Err(ExpandError("syntax error: missing '/' in ${}".to_owned()));
        }
        let word = self.word_until_brace(Escapes::Kept)?;
        let pattern = Pattern::parse(&pattern).map_err(ExpandError)?;
        let value = self.value(name).unwrap_or_default();
        Ok(pattern.replace(&value, &word, all))
    }

    fn word_until_brace(&mut self, escapes: Escapes) -> Result<String, ExpandError> {
        match self.until(Some('}'), escapes)? {
            (word, true) => Ok(word),
            (_, false) => Err(missing('}')),
        }
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        if value.is_none() {
            self.unset.push(name.to_owned());
        }
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum NullIs {
    Set,
    Unset,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("a".into()),
            "EMPTY" => Some(String::new()),
            "PATHS" => Some("/usr/local/bin/tool.tar.gz".into()),
            "QUOTED" => Some("\"x\" $A".into()),
            _ => None,
        }
    }

    #[test]
    fn words_are_expanded() {
        for (word, expected) in [
            ("plain", "plain"),
            ("$A${A}b", "aab"),
            ("$ $. $", "$ $. $"),
            ("${UNSET}", ""),
            ("$1x$@", "x"),
            ("'$A'\"$A\"", "$Aa"),
            (r"\$A \x", "$A x"),
            (r#""\$A \x \\""#, r"$A \x \"),
            ("end\\", "end"),
            ("${UNSET-d}${EMPTY-d}${EMPTY:-$A}", "da"),
            ("${A+s}${EMPTY+s}${EMPTY:+s}${UNSET+s}", "ss"),
            ("${A?no}${A:?no}", "aa"),
            ("${PATHS#*/}", "usr/local/bin/tool.tar.gz"),
            ("${PATHS##*/}", "tool.tar.gz"),
            ("${PATHS%.*}", "/usr/local/bin/tool.tar"),
            ("${PATHS%%.*}", "/usr/local/bin/tool"),
            ("${PATHS/o/0}", "/usr/l0cal/bin/tool.tar.gz"),
            ("${PATHS//o/0}", "/usr/l0cal/bin/t00l.tar.gz"),
            (r"${PATHS//\//-}", "-usr-local-bin-tool.tar.gz"),
            ("$QUOTED", "\"x\" $A"),
        ] {
            assert_eq!(Expander::new('\\').word(word, &lookup).unwrap().text, expected, "{word}");
        }
        assert_eq!(Expander::new('`').word(r"C:\x`$A", &lookup).unwrap().text, r"C:\x$A");
        assert_eq!(Expander::new('\\').heredoc("\"$A\" \\$A \\\\ 'x'\n", &lookup).unwrap().text, "\"a\" $A \\ 'x'\n");
    }

    #[test]
    fn what_cannot_be_expanded_is_refused() {
        for (word, message) in [
            ("${", "syntax error: missing '}'"),
            ("${A", "syntax error: missing '}'"),
            ("${}", "syntax error: bad substitution"),
            ("${A:#x}", "unsupported modifier (:#) in substitution"),
            ("${A=x}", "unsupported modifier (=) in substitution"),
            ("${UNSET?}", "UNSET: is not allowed to be unset"),
            ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
            ("${UNSET?give it}", "UNSET: give it"),
            ("'a", "unexpected end of statement while looking for matching single-quote"),
            ("\"a", "unexpected end of statement while looking for matching double-quote"),
            (r"${A#\a}", r"invalid escape '\a'"),
        ] {
            assert_eq!(Expander::new('\\').word(word, &lookup).unwrap_err().to_string(), message, "{word}");
        }
    }
}
