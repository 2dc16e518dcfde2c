//! One table of all functions: how many arguments each takes, and what it does.

use super::{collections, network, numbers, sets, strings, texts, times};
use crate::Error;
use crate::value::Value;
use std::cell::Cell;

/// Facts from outside that functions tell.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Seconds since 1970.
    pub now: i64,
    /// The user's home directory.
    pub home: String,
    /// Random bytes for `uuidv4`.
    pub seed: [u8; 16],
    /// Random values that were made.
    pub made: Cell<u64>,
}

/// A function's work.
pub(crate) type Run = fn(&[Value], &Facts) -> Result<Value, Error>;
/// A function: its name, the fewest and the most arguments, its work.
pub(crate) type Function = (&'static str, usize, usize, Run);

/// As many arguments as there are.
pub(crate) const ANY: usize = usize::MAX;

/// Functions that take null for a value.
const TAKE_NULL: [&str; 10] = [
    "coalesce",
    "coalescelist",
    "contains",
    "equal",
    "indexof",
    "jsonencode",
    "lookup",
    "merge",
    "notequal",
    "sethaselement",
];

/// Functions of docker's that no bake file gets here, and why.
const REFUSED: [(&str, &str); 2] = [
    ("bcrypt", "a value that differs each time would build everything again"),
    ("rsadecrypt", "a bake file is not the place of a private key"),
];

/// Calls the function `name`; `None` if there is none.
pub(crate) fn call(name: &str, arguments: &[Value], facts: &Facts) -> Option<Result<Value, Error>> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Some(Err(Error::new(format!("the function `{name}` is not available: {why}"))));
    }
    let tables = [
        numbers::FUNCTIONS,
        strings::FUNCTIONS,
        texts::FUNCTIONS,
        collections::FUNCTIONS,
        sets::FUNCTIONS,
        times::FUNCTIONS,
        network::FUNCTIONS,
    ];
    let (_, min, max, run) = tables.into_iter().flatten().find(|(known, ..)| *known == name)?;
    Some(check(name, arguments, *min, *max).and_then(|()| run(arguments, facts)).map_err(|error| error.within(name)))
}

fn check(name: &str, arguments: &[Value], min: usize, max: usize) -> Result<(), Error> {
    let count = arguments.len();
    if count < min || count > max {
        let wanted = match max {
            ANY => format!("at least {min}"),
            max if max == min => min.to_string(),
            max => format!("{min} to {max}"),
        };
        return Err(Error::new(format!("{wanted} arguments are expected, not {count}")));
    }
    match arguments.iter().position(|argument| *argument == Value::Null) {
        Some(at) if !TAKE_NULL.contains(&name) => Err(Error::new(format!("argument {} is null", at + 1))),
        _ => Ok(()),
    }
}
