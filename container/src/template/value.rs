//! Values as Go prints and judges them.

use serde_json::Value;

/// Returns a value as Go's templates print it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut known: Vec<_> = fields.iter().map(|(key, value)| format!("{key}:{}", inner(value))).collect();
            known.sort();
            format!("map[{}]", known.join(" "))
        }
    }
}

fn inner(value: &Value) -> String {
    if value.is_null() { "<nil>".to_owned() } else { shown(value) }
}

/// Tells whether a value counts as true.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
