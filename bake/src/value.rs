//! Values that expressions have, and how one becomes text, a number or a truth as HCL converts it.

use crate::Error;
use std::collections::BTreeMap;

/// A value. A set is a list in order and without doubles; objects and maps are one.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A truth.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// A map or object.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Returns a text.
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// Returns the word for its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a bool",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }

    /// Returns it as text; numbers and truths are written out.
    pub fn to_text(&self) -> Result<String, Error> {
        match self {
            Value::Text(text) => Ok(text.clone()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Number(number) => Ok(number_text(*number)),
            other => Err(Error::new(format!("a string is expected, not {}", other.kind()))),
        }
    }

    /// Returns it as a number; a text may hold one.
    pub fn to_number(&self) -> Result<f64, Error> {
        match self {
            Value::Number(number) => Ok(*number),
            Value::Text(text) => parse_number(text).ok_or_else(|| Error::new(format!("`{text}` is not a number"))),
            other => Err(Error::new(format!("a number is expected, not {}", other.kind()))),
        }
    }

    /// Returns it as a whole number.
    pub fn to_whole(&self) -> Result<i64, Error> {
        let number = self.to_number()?;
        match number.fract() == 0.0 && number.abs() < 9.0e15 {
            true => Ok(number as i64),
            false => Err(Error::new(format!("a whole number is expected, not {}", number_text(number)))),
        }
    }

    /// Returns it as a truth; a text may hold one.
    pub fn to_bool(&self) -> Result<bool, Error> {
        match self {
            Value::Bool(truth) => Ok(*truth),
            Value::Text(text) => match text.as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                other => Err(Error::new(format!("true or false is expected, not `{other}`"))),
            },
            other => Err(Error::new(format!("true or false is expected, not {}", other.kind()))),
        }
    }

    /// Returns the elements of a list.
    pub fn as_list(&self) -> Result<&[Value], Error> {
        match self {
            Value::List(list) => Ok(list),
            other => Err(Error::new(format!("a list is expected, not {}", other.kind()))),
        }
    }

    /// Returns the pairs of an object.
    pub fn as_map(&self) -> Result<&BTreeMap<String, Value>, Error> {
        match self {
            Value::Map(map) => Ok(map),
            other => Err(Error::new(format!("an object is expected, not {}", other.kind()))),
        }
    }

    /// Returns all keys and elements, in order.
    pub fn entries(&self) -> Result<Vec<(Value, Value)>, Error> {
        match self {
            Value::List(list) => {
                Ok(list.iter().enumerate().map(|(at, value)| (Value::Number(at as f64), value.clone())).collect())
            }
            Value::Map(map) => Ok(map.iter().map(|(key, value)| (Value::text(key), value.clone())).collect()),
            other => Err(Error::new(format!("a list or an object is expected, not {}", other.kind()))),
        }
    }

    /// Returns the list as a set: in order, each element once.
    pub fn set(mut list: Vec<Value>) -> Value {
        list.sort_by(Value::order);
        list.dedup();
        Value::List(list)
    }

    /// Tells which of two values stands first in a set.
    pub fn order(&self, other: &Value) -> std::cmp::Ordering {
        match (self, other) {
            (Value::Number(one), Value::Number(two)) => one.total_cmp(two),
            (Value::Text(one), Value::Text(two)) => one.cmp(two),
            (Value::Bool(one), Value::Bool(two)) => one.cmp(two),
            _ => self.to_json().to_string().cmp(&other.to_json().to_string()),
        }
    }

    /// Returns the element of a list or an object; `None` if it has none there.
    pub fn element(&self, key: &Value) -> Result<Option<Value>, Error> {
        match self {
            Value::List(list) => {
                let at = key.to_whole()?;
                Ok(usize::try_from(at).ok().and_then(|at| list.get(at)).cloned())
            }
            Value::Map(map) => Ok(map.get(&key.to_text()?).cloned()),
            other => Err(Error::new(format!("{} has no elements", other.kind()))),
        }
    }

    /// Returns it as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Json::from(*number as i64),
            Value::Number(number) => Json::from(*number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(list) => Json::Array(list.iter().map(Value::to_json).collect()),
            Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.clone(), value.to_json())).collect()),
        }
    }

    /// Returns the value that JSON writes.
    pub fn from_json(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
            Json::String(text) => Value::text(text),
            Json::Array(list) => Value::List(list.iter().map(Value::from_json).collect()),
            Json::Object(map) => {
                Value::Map(map.iter().map(|(key, value)| (key.clone(), Value::from_json(value))).collect())
            }
        }
    }
}

/// Reads a number as HCL writes it.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|number: &f64| numeric && number.is_finite())
}

/// Writes a number without an exponent.
pub(crate) fn number_text(number: f64) -> String {
    // Minus zero is zero.
    format!("{}", if number == 0.0 { 0.0 } else { number })
}
