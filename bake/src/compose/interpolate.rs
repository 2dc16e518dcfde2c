//! `$NAME` and `${NAME:-default}` in the texts of compose files.

use crate::Error;
use crate::yaml::{Content, Node};
use std::collections::BTreeMap;

/// How deep defaults may hold variables.
const MAX_DEPTH: usize = 16;

/// Puts the values of variables into a text.
pub(crate) fn interpolate(text: &str, variables: &BTreeMap<String, String>) -> Result<String, Error> {
    expand(text, variables, 0)
}

/// Puts the values of variables into all texts of a node.
pub(crate) fn interpolate_node(node: &mut Node, file: &str, variables: &BTreeMap<String, String>) -> Result<(), Error> {
    let line = node.line;
    match &mut node.content {
        Content::Scalar { text, .. } if text.contains('$') => {
            *text = interpolate(text, variables).map_err(|error| error.at(file, Some(line)))?;
        }
        Content::List(list) => list.iter_mut().try_for_each(|node| interpolate_node(node, file, variables))?,
        Content::Map(pairs) => pairs.iter_mut().try_for_each(|pair| interpolate_node(&mut pair.1, file, variables))?,
        _ => {}
    }
    Ok(())
}

fn name_length(text: &str) -> usize {
    let starts = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_');
    let end = text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(text.len());
    if starts { end } else { 0 }
}

fn expand(text: &str, variables: &BTreeMap<String, String>, depth: usize) -> Result<String, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::new("variables in defaults are nested too deep"));
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let end = closing(inner).ok_or_else(|| Error::new(format!("`{text}`: a brace is not closed")))?;
            out.push_str(&braced(&inner[..end], variables, depth)?);
            rest = &inner[end + 1..];
        } else {
            let length = name_length(after);
            if length == 0 {
                return Err(Error::new(format!("`{text}`: a name is expected after $; $$ is a dollar sign")));
            }
            out.push_str(variables.get(&after[..length]).map_or("", String::as_str));
            rest = &after[length..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Returns where the brace is closed that was opened before the text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn braced(inner: &str, variables: &BTreeMap<String, String>, depth: usize) -> Result<String, Error> {
    let length = name_length(inner);
    let (name, rest) = inner.split_at(length);
    let wrong = || Error::new(format!("`${{{inner}}}` is not a variable; ${{NAME}} or ${{NAME:-default}} is expected"));
    if name.is_empty() {
        return Err(wrong());
    }
    let value = variables.get(name);
    let (rest, value) = match rest.strip_prefix(':') {
        // With a colon, an empty value is none.
        Some(rest) => (rest, value.filter(|value| !value.is_empty())),
        None => (rest, value),
    };
    let expanded = |word: &str| expand(word, variables, depth + 1);
    let mut chars = rest.chars();
    match (chars.next(), value) {
        (None, _) if inner.len() == length => Ok(value.cloned().unwrap_or_default()),
        (Some('-' | '?'), Some(value)) => Ok(value.clone()),
        (Some('-'), None) => expanded(chars.as_str()),
        (Some('+'), Some(_)) => expanded(chars.as_str()),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => {
            Err(Error::new(format!("the variable `{name}` is required: {}", expanded(chars.as_str())?)))
        }
        _ => Err(wrong()),
    }
}
