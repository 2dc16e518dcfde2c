//! The functions of templates: Go's own and docker's.

use super::value::{is_true, shown};
use serde_json::Value;
use std::cmp::Ordering;

const KNOWN: [&str; 23] = [
    "json", "join", "split", "len", "index", "printf", "print", "println", "upper", "lower", "title", "truncate",
    "pad", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "slice",
];
/// Most characters that a width adds.
const MAX_WIDTH: usize = 10_000;

/// Tells whether there is a function of this name.
pub(crate) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Calls a function.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let count = |wanted: usize| match arguments.len() == wanted {
        true => Ok(()),
        false => Err(format!("wrong number of args for {name}: want {wanted} got {}", arguments.len())),
    };
    let text = |at: usize| arguments.get(at).map(shown).unwrap_or_default();
    match name {
        "json" => count(1).map(|()| arguments[0].to_string().into()),
        "upper" => count(1).map(|()| text(0).to_uppercase().into()),
        "lower" => count(1).map(|()| text(0).to_lowercase().into()),
        "title" => count(1).map(|()| title(&text(0)).into()),
        "not" => count(1).map(|()| (!is_true(&arguments[0])).into()),
        "len" => count(1).and_then(|()| length(&arguments[0])).map(Value::from),
        "join" => count(2).and_then(|()| joined(&arguments[0], &text(1))),
        "split" => count(2).map(|()| text(0).split(&text(1)).map(Value::from).collect()),
        "truncate" => {
            count(2).and_then(|()| Ok(text(0).chars().take(number(&arguments[1])?).collect::<String>().into()))
        }
        "pad" => count(3).and_then(|()| {
            let spaces = |at: usize| number(&arguments[at]).map(|number| " ".repeat(number.min(MAX_WIDTH)));
            Ok(format!("{}{}{}", spaces(1)?, text(0), spaces(2)?).into())
        }),
        "index" => arguments
            .split_first()
            .ok_or("wrong number of args".to_owned())
            .and_then(|(list, keys)| keys.iter().try_fold(list.clone(), |found, key| element(&found, key))),
        "slice" => slice(arguments),
        "print" => Ok(arguments.iter().map(shown).collect::<Vec<_>>().join("").into()),
        "println" => Ok((arguments.iter().map(shown).collect::<Vec<_>>().join(" ") + "\n").into()),
        "printf" => Ok(printf(arguments).into()),
        "and" => {
            Ok(arguments.iter().find(|value| !is_true(value)).or(arguments.last()).cloned().unwrap_or(Value::Null))
        }
        "or" => Ok(arguments.iter().find(|value| is_true(value)).or(arguments.last()).cloned().unwrap_or(Value::Null)),
        _ => compare(name, arguments),
    }
}

fn compare(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let (Some(first), Some(second)) = (arguments.first(), arguments.get(1)) else {
        return Err("missing argument for comparison".to_owned());
    };
    let order = |one: &Value, other: &Value| match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.partial_cmp(&other),
        _ => Some(shown(one).cmp(&shown(other))),
    };
    let is_equal =
        |one: &Value, other: &Value| one == other || order(one, other) == Some(Ordering::Equal) && !one.is_null();
    let order = order(first, second).ok_or("incompatible types for comparison")?;
    Ok(Value::from(match name {
        "eq" => arguments[1..].iter().any(|other| is_equal(first, other)),
        "ne" => !is_equal(first, second),
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        "gt" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

fn number(value: &Value) -> Result<usize, String> {
    value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("{} is not a count", shown(value)))
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::String(text) => Ok(text.len()),
        Value::Array(items) => Ok(items.len()),
        Value::Object(fields) => Ok(fields.len()),
        Value::Null => Ok(0),
        other => Err(format!("len of type {}", shown(other))),
    }
}

fn joined(list: &Value, between: &str) -> Result<Value, String> {
    match list {
        Value::Array(items) => Ok(items.iter().map(shown).collect::<Vec<_>>().join(between).into()),
        Value::Null => Ok("".into()),
        other => Err(format!("{} is not a list", shown(other))),
    }
}

fn element(list: &Value, key: &Value) -> Result<Value, String> {
    match list {
        Value::Array(items) => {
            let at = number(key)?;
            items.get(at).cloned().ok_or_else(|| format!("index out of range: {at}"))
        }
        Value::Object(fields) => Ok(fields.get(&shown(key)).cloned().unwrap_or_else(|| "".into())),
        Value::Null => Err("index of untyped nil".to_owned()),
        other => Err(format!("can't index item of type {}", shown(other))),
    }
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let Some((list, bounds)) = arguments.split_first() else { return Err("wrong number of args".to_owned()) };
    let start = bounds.first().map_or(Ok(0), number)?;
    let end = bounds.get(1).map(number).transpose()?;
    let range = |length: usize| match end.unwrap_or(length) {
        end if start <= end && end <= length => Ok(start..end),
        end => Err(format!("index out of range: {start}:{end}")),
    };
    match list {
        Value::Array(items) => Ok(items[range(items.len())?].to_vec().into()),
        Value::String(text) => text.get(range(text.len())?).map(Value::from).ok_or("not a boundary".to_owned()),
        other => Err(format!("can't slice item of type {}", shown(other))),
    }
}

fn title(text: &str) -> String {
    let mut starts = true;
    text.chars()
        .map(|char| {
            let char = if starts { char.to_ascii_uppercase() } else { char };
            starts = char.is_whitespace();
            char
        })
        .collect()
}

/// Formats as Go's `printf`: `%s`, `%d`, `%v`, `%q`, `%t`, `%f`, `%x`, `%%`, with widths, `-` and `0`.
fn printf(arguments: &[Value]) -> String {
    let Some((format, mut values)) = arguments.split_first() else { return String::new() };
    let format = shown(format);
    let (mut text, mut rest) = (String::new(), format.as_str());
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let end = after.find(|char: char| !"-+0123456789.# ".contains(char)).unwrap_or(after.len());
        let (flags, after) = after.split_at(end);
        let Some(verb) = after.chars().next() else {
            text.push_str("%!(NOVERB)");
            rest = "";
            break;
        };
        rest = &after[verb.len_utf8()..];
        if verb == '%' {
            text.push('%');
            continue;
        }
        let Some((value, more)) = values.split_first() else {
            text.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        values = more;
        text.push_str(&padded(&verbed(verb, flags, value), flags));
    }
    text + rest
}

fn verbed(verb: char, flags: &str, value: &Value) -> String {
    let places = flags.split_once('.').and_then(|(_, places)| places.parse::<usize>().ok());
    match (verb, value) {
        ('q', value) => format!("{:?}", shown(value)),
        ('d', Value::Number(number)) => number.to_string(),
        ('f', Value::Number(number)) => {
            format!("{:.*}", places.unwrap_or(6).min(100), number.as_f64().unwrap_or_default())
        }
        ('x', Value::Number(number)) => format!("{:x}", number.as_i64().unwrap_or_default()),
        ('x', value) => shown(value).bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('t', Value::Bool(value)) => value.to_string(),
        ('s' | 'v', value) => match places {
            Some(places) => shown(value).chars().take(places).collect(),
            None => shown(value),
        },
        (verb, value) => format!("%!{verb}({})", shown(value)),
    }
}

fn padded(text: &str, flags: &str) -> String {
    let digits = flags.trim_start_matches(['-', '+', '#', ' ']).split('.').next().unwrap_or_default();
    let width = digits.parse::<usize>().unwrap_or(0).min(MAX_WIDTH);
    let missing = width.saturating_sub(text.chars().count());
    match (flags.contains('-'), digits.starts_with('0')) {
        (true, _) => format!("{text}{}", " ".repeat(missing)),
        (false, true) => format!("{}{text}", "0".repeat(missing)),
        (false, false) => format!("{}{text}", " ".repeat(missing)),
    }
}
