//! The patterns of `${name#pattern}` and its kin: `*`, `?`, and a backslash before what is special.

use regex::{NoExpand, Regex};

/// A pattern, as the parts of a regular expression: those match in linear time, whatever the pattern.
pub(crate) struct Pattern(Vec<Part>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Letter(char),
}

impl Pattern {
    /// Parses a pattern; only special characters may be escaped.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            parts.push(match letter {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => match letters.next() {
                    Some(special @ ('*' | '?' | '\\' | '/' | '}')) => Part::Letter(special),
                    Some(other) => return Err(format!("invalid escape '\\{other}'")),
                    None => return Err("invalid escape '\\'".to_owned()),
                },
                letter => Part::Letter(letter),
            });
        }
        Ok(Pattern(parts))
    }

    /// Removes the shortest or longest beginning that matches.
    pub(crate) fn trim_prefix(&self, value: &str, longest: bool) -> Result<String, String> {
        let found = expression("^", self.0.iter(), longest)?.find(value).map_or(0, |found| found.end());
        Ok(value[found..].to_owned())
    }

    /// Removes the shortest or longest end that matches: the beginning of the value read backwards.
    pub(crate) fn trim_suffix(&self, value: &str, longest: bool) -> Result<String, String> {
        let backwards: String = value.chars().rev().collect();
        let found = expression("^", self.0.iter().rev(), longest)?.find(&backwards).map_or(0, |found| found.end());
        Ok(value[..value.len() - found].to_owned())
    }

    /// Replaces the first match, or all, each as long as it can be.
    pub(crate) fn replace(&self, value: &str, word: &str, all: bool) -> Result<String, String> {
        let expression = expression("", self.0.iter(), true)?;
        Ok(expression.replacen(value, usize::from(!all), NoExpand(word)).into_owned())
    }
}

fn expression<'p>(start: &str, parts: impl Iterator<Item = &'p Part>, greedy: bool) -> Result<Regex, String> {
    let mut text = start.to_owned();
    let mut letter = [0; 4];
    for part in parts {
        match part {
            Part::Any if greedy => text.push_str(".*"),
            Part::Any => text.push_str(".*?"),
            Part::One => text.push('.'),
            Part::Letter(plain) => text.push_str(&regex::escape(plain.encode_utf8(&mut letter))),
        }
    }
    Regex::new(&text).map_err(|_| "the pattern is too long".to_owned())
}
