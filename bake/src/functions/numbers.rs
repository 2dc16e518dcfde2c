//! Functions on numbers and truths.

use super::table::{ANY, Facts, Function};
use crate::Error;
use crate::value::Value;

/// The functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    ("absolute", 1, 1, |a, _| Ok(Value::Number(a[0].to_number()?.abs()))),
    ("add", 2, 2, |a, _| Ok(Value::Number(a[0].to_number()? + a[1].to_number()?))),
    ("subtract", 2, 2, |a, _| Ok(Value::Number(a[0].to_number()? - a[1].to_number()?))),
    ("multiply", 2, 2, |a, _| Ok(Value::Number(a[0].to_number()? * a[1].to_number()?))),
    ("divide", 2, 2, |a, _| Ok(Value::Number(a[0].to_number()? / divisor(&a[1])?))),
    ("modulo", 2, 2, |a, _| Ok(Value::Number(a[0].to_number()? % divisor(&a[1])?))),
    ("negate", 1, 1, |a, _| Ok(Value::Number(-a[0].to_number()?))),
    ("ceil", 1, 1, |a, _| Ok(Value::Number(a[0].to_number()?.ceil()))),
    ("floor", 1, 1, |a, _| Ok(Value::Number(a[0].to_number()?.floor()))),
    ("int", 1, 1, |a, _| Ok(Value::Number(a[0].to_number()?.trunc()))),
    ("log", 2, 2, |a, _| finite(a[0].to_number()?.ln() / a[1].to_number()?.ln())),
    ("pow", 2, 2, |a, _| finite(a[0].to_number()?.powf(a[1].to_number()?))),
    ("signum", 1, 1, signum),
    ("max", 1, ANY, |a, _| fold(a, f64::max)),
    ("min", 1, ANY, |a, _| fold(a, f64::min)),
    ("parseint", 2, 2, parseint),
    ("greaterthan", 2, 2, |a, _| Ok(Value::Bool(a[0].to_number()? > a[1].to_number()?))),
    ("greaterthanorequalto", 2, 2, |a, _| Ok(Value::Bool(a[0].to_number()? >= a[1].to_number()?))),
    ("lessthan", 2, 2, |a, _| Ok(Value::Bool(a[0].to_number()? < a[1].to_number()?))),
    ("lessthanorequalto", 2, 2, |a, _| Ok(Value::Bool(a[0].to_number()? <= a[1].to_number()?))),
    ("equal", 2, 2, |a, _| Ok(Value::Bool(a[0] == a[1]))),
    ("notequal", 2, 2, |a, _| Ok(Value::Bool(a[0] != a[1]))),
    ("and", 2, 2, |a, _| Ok(Value::Bool(a[0].to_bool()? & a[1].to_bool()?))),
    ("or", 2, 2, |a, _| Ok(Value::Bool(a[0].to_bool()? | a[1].to_bool()?))),
    ("not", 1, 1, |a, _| Ok(Value::Bool(!a[0].to_bool()?))),
];

fn divisor(value: &Value) -> Result<f64, Error> {
    match value.to_number()? {
        0.0 => Err(Error::new("a number is divided by zero")),
        number => Ok(number),
    }
}

fn finite(number: f64) -> Result<Value, Error> {
    match number.is_finite() {
        true => Ok(Value::Number(number)),
        false => Err(Error::new("the result is not a finite number")),
    }
}

fn signum(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let number = arguments[0].to_number()?;
    Ok(Value::Number(if number == 0.0 { 0.0 } else { number.signum() }))
}

fn fold(arguments: &[Value], choose: fn(f64, f64) -> f64) -> Result<Value, Error> {
    let numbers = arguments.iter().map(Value::to_number).collect::<Result<Vec<_>, _>>()?;
    let chosen = numbers.into_iter().reduce(choose);
    chosen.map(Value::Number).ok_or_else(|| Error::new("a number is expected"))
}

fn parseint(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (text, base) = (arguments[0].to_text()?, arguments[1].to_whole()?);
    let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
    let base = base.ok_or_else(|| Error::new("a base from 2 to 36 is expected"))?;
    match i64::from_str_radix(&text, base) {
        Ok(number) => Ok(Value::Number(number as f64)),
        Err(_) => Err(Error::new(format!("`{text}` is not a whole number of base {base}"))),
    }
}
