//! Functions on lists and objects.

use super::table::{ANY, Facts, Function};
use crate::Error;
use crate::value::Value;
use std::collections::BTreeMap;

/// Elements that `range` makes at most.
const MAX_RANGE: usize = 100_000;

/// The functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    ("chunklist", 2, 2, chunklist),
    ("coalesce", 1, ANY, |a, _| {
        let found = a.iter().find(|value| **value != Value::Null);
        found.cloned().ok_or_else(|| Error::new("no argument has a value"))
    }),
    ("coalescelist", 1, ANY, |a, _| {
        let found = a.iter().find(|value| value.entries().is_ok_and(|entries| !entries.is_empty()));
        found.cloned().ok_or_else(|| Error::new("no argument has elements"))
    }),
    ("compact", 1, 1, |a, _| {
        let kept = a[0].as_list()?.iter().filter(|value| !matches!(value, Value::Null) && **value != Value::text(""));
        Ok(Value::List(kept.cloned().collect()))
    }),
    ("concat", 1, ANY, |a, _| {
        let lists = a.iter().map(Value::as_list).collect::<Result<Vec<_>, _>>()?;
        Ok(Value::List(lists.concat()))
    }),
    ("contains", 2, 2, |a, _| Ok(Value::Bool(a[0].as_list()?.contains(&a[1])))),
    ("distinct", 1, 1, distinct),
    ("element", 2, 2, element),
    ("flatten", 1, 1, |a, _| Ok(Value::List(flatten(a[0].as_list()?)))),
    ("hasindex", 2, 2, |a, _| Ok(Value::Bool(a[0].element(&a[1]).is_ok_and(|found| found.is_some())))),
    ("index", 2, 2, |a, _| a[0].element(&a[1])?.ok_or_else(|| Error::new("there is no such element"))),
    ("indexof", 2, 2, |a, _| {
        let found = a[0].as_list()?.iter().position(|value| *value == a[1]);
        found.map(|at| Value::Number(at as f64)).ok_or_else(|| Error::new("item not found"))
    }),
    ("keys", 1, 1, |a, _| Ok(Value::List(a[0].as_map()?.keys().map(Value::text).collect()))),
    ("values", 1, 1, |a, _| Ok(Value::List(a[0].as_map()?.values().cloned().collect()))),
    ("length", 1, 1, |a, _| Ok(Value::Number(a[0].entries()?.len() as f64))),
    ("lookup", 3, 3, |a, _| Ok(a[0].as_map()?.get(&a[1].to_text()?).cloned().unwrap_or_else(|| a[2].clone()))),
    ("merge", 1, ANY, merge),
    ("range", 1, 3, range),
    ("reverselist", 1, 1, |a, _| Ok(Value::List(a[0].as_list()?.iter().rev().cloned().collect()))),
    ("slice", 3, 3, slice),
    ("sort", 1, 1, sort),
    ("zipmap", 2, 2, zipmap),
];

fn place(value: &Value) -> Result<usize, Error> {
    let number = value.to_whole()?;
    usize::try_from(number).map_err(|_| Error::new(format!("{number} is less than 0")))
}

fn chunklist(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (list, size) = (arguments[0].as_list()?, place(&arguments[1])?);
    let size = if size == 0 { list.len().max(1) } else { size };
    Ok(Value::List(list.chunks(size).map(|chunk| Value::List(chunk.to_vec())).collect()))
}

fn distinct(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let mut kept: Vec<Value> = Vec::new();
    for value in arguments[0].as_list()? {
        if !kept.contains(value) {
            kept.push(value.clone());
        }
    }
    Ok(Value::List(kept))
}

/// Returns an element; a place behind the end counts on from the beginning.
fn element(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let list = arguments[0].as_list()?;
    let at = arguments[1].to_whole()?;
    match i64::try_from(list.len()) {
        Ok(0) | Err(_) => Err(Error::new("the list is empty")),
        Ok(count) => Ok(list[at.rem_euclid(count) as usize].clone()),
    }
}

fn flatten(list: &[Value]) -> Vec<Value> {
    let each = list.iter().flat_map(|value| match value {
        Value::List(inner) => flatten(inner),
        other => vec![other.clone()],
    });
    each.collect()
}

fn merge(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let mut merged = BTreeMap::new();
    for map in arguments.iter().filter(|map| **map != Value::Null) {
        merged.extend(map.as_map()?.clone());
    }
    Ok(Value::Map(merged))
}

fn range(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let numbers = arguments.iter().map(Value::to_number).collect::<Result<Vec<_>, _>>()?;
    let (start, end, step) = match numbers.as_slice() {
        [end] => (0.0, *end, if *end < 0.0 { -1.0 } else { 1.0 }),
        [start, end] => (*start, *end, if end < start { -1.0 } else { 1.0 }),
        [start, end, step, ..] => (*start, *end, *step),
        [] => (0.0, 0.0, 1.0),
    };
    if step == 0.0 || (end > start) != (step > 0.0) && end != start {
        return Err(Error::new("the step never reaches the end"));
    }
    let (mut list, mut at) = (Vec::new(), start);
    while if step > 0.0 { at < end } else { at > end } {
        if list.len() >= MAX_RANGE {
            return Err(Error::new(format!("more than {MAX_RANGE} elements")));
        }
        list.push(Value::Number(at));
        at += step;
    }
    Ok(Value::List(list))
}

fn slice(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (list, start, end) = (arguments[0].as_list()?, place(&arguments[1])?, place(&arguments[2])?);
    match list.get(start..end) {
        Some(slice) => Ok(Value::List(slice.to_vec())),
        None => Err(Error::new(format!("{start} to {end} is not within a list of {} elements", list.len()))),
    }
}

fn sort(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let mut texts = arguments[0].as_list()?.iter().map(Value::to_text).collect::<Result<Vec<_>, _>>()?;
    texts.sort();
    Ok(Value::List(texts.into_iter().map(Value::Text).collect()))
}

fn zipmap(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (keys, values) = (arguments[0].as_list()?, arguments[1].as_list()?);
    if keys.len() != values.len() {
        return Err(Error::new(format!("{} keys do not fit {} values", keys.len(), values.len())));
    }
    let pairs = keys.iter().zip(values).map(|(key, value)| Ok((key.to_text()?, value.clone())));
    Ok(Value::Map(pairs.collect::<Result<_, Error>>()?))
}
