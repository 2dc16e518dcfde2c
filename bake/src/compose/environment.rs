//! The variables of compose files: the environment, and beside it a file `.env`.

use super::interpolate::interpolate;
use crate::Error;
use std::collections::BTreeMap;

/// Returns the environment and what a file `.env` adds to it.
pub(crate) fn with_dot_env(
    environment: &BTreeMap<String, String>,
    dot_env: Option<&str>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut all = environment.clone();
    for (number, line) in dot_env.unwrap_or("").lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = |error: Error| error.at(".env", Some(number + 1));
        // A name alone means the variable of the environment.
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value_of(value.trim(), &all).map_err(place)?;
        all.entry(name.trim().to_owned()).or_insert(value);
    }
    Ok(all)
}

fn value_of(text: &str, known: &BTreeMap<String, String>) -> Result<String, Error> {
    if let Some(rest) = text.strip_prefix('\'') {
        let inner = rest.split_once('\'').ok_or_else(|| Error::new("a quote is not closed"))?;
        return Ok(inner.0.to_owned());
    }
    if let Some(rest) = text.strip_prefix('"') {
        let (mut inner, mut chars) = (String::new(), rest.chars());
        loop {
            match chars.next() {
                Some('"') => return interpolate(&inner, known),
                Some('\\') => match chars.next() {
                    Some('n') => inner.push('\n'),
                    Some('t') => inner.push('\t'),
                    Some('$') => inner.push_str("$$"),
                    Some(other) => inner.push(other),
                    None => return Err(Error::new("a quote is not closed")),
                },
                Some(other) => inner.push(other),
                None => return Err(Error::new("a quote is not closed")),
            }
        }
    }
    let bare = text.split_once(" #").map_or(text, |(value, _)| value);
    interpolate(bare.trim_end(), known)
}
