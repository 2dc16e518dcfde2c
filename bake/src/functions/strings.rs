//! Functions that change texts.

use super::table::{ANY, Facts, Function};
use super::{format, semver_range};
use crate::Error;
use crate::value::Value;
use regex::Regex;

/// Spaces that `indent` puts before a line at most.
const MAX_INDENT: usize = 1000;

/// The functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    ("basename", 1, 1, |a, _| Ok(Value::text(base(&a[0].to_text()?)))),
    ("dirname", 1, 1, |a, _| Ok(Value::text(directory(&a[0].to_text()?)))),
    ("byteslen", 1, 1, |a, _| Ok(Value::Number(a[0].to_text()?.len() as f64))),
    ("bytesslice", 3, 3, bytesslice),
    ("chomp", 1, 1, |a, _| Ok(Value::text(a[0].to_text()?.trim_end_matches(['\n', '\r'])))),
    ("format", 1, ANY, |a, _| Ok(Value::Text(format::format(&a[0].to_text()?, &a[1..])?))),
    ("formatlist", 1, ANY, |a, _| format::list(&a[0].to_text()?, &a[1..])),
    ("indent", 2, 2, indent),
    ("join", 1, ANY, join),
    ("lower", 1, 1, |a, _| Ok(Value::text(a[0].to_text()?.to_lowercase()))),
    ("upper", 1, 1, |a, _| Ok(Value::text(a[0].to_text()?.to_uppercase()))),
    ("title", 1, 1, |a, _| Ok(Value::text(title(&a[0].to_text()?)))),
    ("regex", 2, 2, regex),
    ("regexall", 2, 2, regexall),
    ("regex_replace", 3, 3, |a, _| {
        let text = a[0].to_text()?;
        Ok(Value::text(expression(&a[1])?.replace_all(&text, a[2].to_text()?.as_str())))
    }),
    ("replace", 3, 3, |a, _| Ok(Value::text(a[0].to_text()?.replace(&a[1].to_text()?, &a[2].to_text()?)))),
    ("reverse", 1, 1, |a, _| Ok(Value::text(a[0].to_text()?.chars().rev().collect::<String>()))),
    ("sanitize", 1, 1, |a, _| Ok(Value::text(sanitize(&a[0].to_text()?)))),
    ("semvercmp", 2, 2, |a, _| Ok(Value::Bool(semver_range::matches(&a[0].to_text()?, &a[1].to_text()?)?))),
    ("split", 2, 2, split),
    ("strlen", 1, 1, |a, _| Ok(Value::Number(a[0].to_text()?.chars().count() as f64))),
    ("substr", 3, 3, substr),
    ("trim", 2, 2, |a, _| {
        let set = a[1].to_text()?;
        Ok(Value::text(a[0].to_text()?.trim_matches(|char| set.contains(char))))
    }),
    ("trimprefix", 2, 2, |a, _| {
        let text = a[0].to_text()?;
        Ok(Value::text(text.strip_prefix(&a[1].to_text()?).unwrap_or(&text)))
    }),
    ("trimsuffix", 2, 2, |a, _| {
        let text = a[0].to_text()?;
        Ok(Value::text(text.strip_suffix(&a[1].to_text()?).unwrap_or(&text)))
    }),
    ("trimspace", 1, 1, |a, _| Ok(Value::text(a[0].to_text()?.trim()))),
];

fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        path => path.rsplit('/').next().unwrap_or(path),
    }
}

fn directory(path: &str) -> String {
    let Some((directory, _)) = path.rsplit_once('/') else { return ".".to_owned() };
    clean(if directory.is_empty() { "/" } else { directory })
}

/// Returns the shortest name of a path, without looking at files.
pub(crate) fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            ("..", _) if absolute => {}
            _ => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn indent(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let spaces = usize::try_from(arguments[0].to_whole()?).ok().filter(|spaces| *spaces <= MAX_INDENT);
    let spaces = spaces.ok_or_else(|| Error::new(format!("0 to {MAX_INDENT} spaces are expected")))?;
    Ok(Value::text(arguments[1].to_text()?.replace('\n', &format!("\n{}", " ".repeat(spaces)))))
}

fn join(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let mut texts = Vec::new();
    for list in &arguments[1..] {
        for element in list.as_list()? {
            texts.push(element.to_text()?);
        }
    }
    Ok(Value::Text(texts.join(&arguments[0].to_text()?)))
}

fn title(text: &str) -> String {
    let mut starts = true;
    let each = text.chars().map(|char| {
        let upper = if starts { char.to_uppercase().next().unwrap_or(char) } else { char };
        starts = !char.is_alphanumeric() && char != '_' && char != '\'';
        upper
    });
    each.collect()
}

/// Replaces all that a target's name cannot hold.
pub(crate) fn sanitize(text: &str) -> String {
    let known = |char: &char| char.is_ascii_alphanumeric() || *char == '_' || *char == '-';
    text.chars().map(|char| Some(char).filter(known).unwrap_or('_')).collect()
}

fn expression(value: &Value) -> Result<Regex, Error> {
    let text = value.to_text()?;
    Regex::new(&text).map_err(|error| Error::new(format!("`{text}` is not a regular expression: {error}")))
}

fn regex(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (expression, text) = (expression(&arguments[0])?, arguments[1].to_text()?);
    match expression.captures(&text) {
        Some(found) => Ok(captured(&expression, &found)),
        None => Err(Error::new(format!("`{}` does not match `{text}`", expression.as_str()))),
    }
}

fn regexall(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (expression, text) = (expression(&arguments[0])?, arguments[1].to_text()?);
    Ok(Value::List(expression.captures_iter(&text).map(|found| captured(&expression, &found)).collect()))
}

/// Returns the whole match, or its groups: by name where they have names.
fn captured(expression: &Regex, found: &regex::Captures<'_>) -> Value {
    let group = |at: usize| found.get(at).map_or(Value::Null, |group| Value::text(group.as_str()));
    let names: Vec<(usize, Option<&str>)> = expression.capture_names().enumerate().skip(1).collect();
    match names.as_slice() {
        [] => group(0),
        names if names.iter().any(|(_, name)| name.is_some()) => {
            let named = names.iter().filter_map(|(at, name)| Some(((*name)?.to_owned(), group(*at))));
            Value::Map(named.collect())
        }
        names => Value::List(names.iter().map(|(at, _)| group(*at)).collect()),
    }
}

fn split(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (separator, text) = (arguments[0].to_text()?, arguments[1].to_text()?);
    let parts: Vec<Value> = match separator.is_empty() {
        true => text.chars().map(Value::text).collect(),
        false => text.split(&separator).map(Value::text).collect(),
    };
    Ok(Value::List(parts))
}

fn substr(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let chars: Vec<char> = arguments[0].to_text()?.chars().collect();
    let (offset, length) = (arguments[1].to_whole()?, arguments[2].to_whole()?);
    let count = chars.len() as i64;
    let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    let end = if length < 0 { count } else { (start + length).min(count) };
    Ok(Value::text(chars[start as usize..end as usize].iter().collect::<String>()))
}

fn bytesslice(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let text = arguments[0].to_text()?;
    let place = |value: &Value| value.to_whole().map(usize::try_from);
    match (place(&arguments[1])?, place(&arguments[2])?) {
        (Ok(start), Ok(length)) => match text.get(start..start + length) {
            Some(part) => Ok(Value::text(part)),
            None => Err(Error::new(format!("the text has no {length} bytes of whole characters from {start} on"))),
        },
        _ => Err(Error::new("the offset and the length are not less than 0")),
    }
}
