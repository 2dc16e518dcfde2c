//! Functions on sets: lists in order, each element once.

use super::table::{ANY, Facts, Function};
use crate::Error;
use crate::value::Value;

/// Combinations that `setproduct` makes at most.
const MAX_PRODUCT: usize = 100_000;

/// The functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    ("sethaselement", 2, 2, |a, _| Ok(Value::Bool(a[0].as_list()?.contains(&a[1])))),
    ("setintersection", 1, ANY, |a, _| fold(a, |one, two| one.contains(two), false)),
    ("setsubtract", 2, 2, |a, _| fold(a, |one, two| !one.contains(two), false)),
    ("setsymmetricdifference", 1, ANY, |a, _| fold(a, |one, two| !one.contains(two), true)),
    ("setunion", 1, ANY, |a, _| {
        let lists = a.iter().map(Value::as_list).collect::<Result<Vec<_>, _>>()?;
        Ok(Value::set(lists.concat()))
    }),
    ("setproduct", 1, ANY, setproduct),
];

/// Joins sets one after the other: elements of the first that `keeps` holds for, seen from the second, and the other
/// way where both sides count.
fn fold(sets: &[Value], keeps: fn(&[Value], &Value) -> bool, both: bool) -> Result<Value, Error> {
    let mut result = sets[0].as_list()?.to_vec();
    for next in &sets[1..] {
        let next = next.as_list()?;
        let mut kept: Vec<Value> = result.iter().filter(|value| keeps(next, value)).cloned().collect();
        if both {
            kept.extend(next.iter().filter(|value| keeps(&result, value)).cloned());
        }
        result = kept;
    }
    Ok(Value::set(result))
}

fn setproduct(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let mut product: Vec<Vec<Value>> = vec![Vec::new()];
    for set in arguments {
        let set = set.as_list()?;
        if product.len().saturating_mul(set.len()) > MAX_PRODUCT {
            return Err(Error::new(format!("more than {MAX_PRODUCT} combinations")));
        }
        let longer = product
            .iter()
            .flat_map(|head| set.iter().map(move |value| [head.as_slice(), std::slice::from_ref(value)].concat()));
        product = longer.collect();
    }
    Ok(Value::List(product.into_iter().map(Value::List).collect()))
}
