//! Variables: their type, their default, what the environment says in its place, and their checks.

use crate::Error;
use crate::csv;
use crate::entries::parse_bool;
use crate::evaluate::Scope;
use crate::module::Settings;
use crate::syntax::Block;
use crate::types::Type;
use crate::value::{Value, parse_number};
use std::collections::BTreeMap;

/// End of the name of a variable of the environment that holds JSON.
const JSON_SUFFIX: &str = "_JSON";

/// Refuses what a variable cannot have.
pub(crate) fn check(name: &str, block: &Block) -> Result<(), Error> {
    block.body.only(&format!("the variable `{name}`"), &["type", "default", "description"], &["validation"])?;
    let validations = block.body.blocks.iter();
    validations.into_iter().try_for_each(|block| block.body.only("a validation", &["condition", "error_message"], &[]))
}

/// Returns the value of a variable.
pub(crate) fn value(name: &str, block: &Block, scope: &Scope<'_>, settings: &Settings) -> Result<Value, Error> {
    let declared = match block.body.attribute("type") {
        Some(attribute) if !attribute.expression.is_null() => Some(Type::parse(&attribute.expression)?),
        _ => None,
    };
    let is_typed = declared.is_some();
    let wanted = declared.unwrap_or(Type::Any);
    let default = match block.body.attribute("default") {
        None if given(name, is_typed, settings).is_none() => {
            return Ok(if is_typed { Value::Null } else { Value::text("") });
        }
        None if is_typed => Value::Null,
        None => Value::text(""),
        Some(attribute) => {
            let value = scope.value(&attribute.expression)?;
            let within = |error: Error| error.within(&format!("the default of the variable `{name}`"));
            wanted.convert(value).map_err(within)?
        }
    };
    overridden(name, default, &wanted, is_typed, settings)
}

/// Returns what the environment says of a variable, and whether it is JSON.
fn given<'s>(name: &str, prefers_json: bool, settings: &'s Settings) -> Option<(&'s str, bool)> {
    let plain = settings.environment.get(name).map(|value| (value.as_str(), false));
    let json_name = format!("{name}{JSON_SUFFIX}");
    let json = settings.environment.get(&json_name).filter(|_| !settings.built_in.contains_key(&json_name));
    let json = json.map(|value| (value.as_str(), true));
    if prefers_json { json.or(plain) } else { plain.or(json) }
}

/// Returns a value, or what the environment says in its place.
pub(crate) fn overridden(
    name: &str,
    default: Value,
    wanted: &Type,
    is_typed: bool,
    settings: &Settings,
) -> Result<Value, Error> {
    let Some((text, is_json)) = given(name, is_typed, settings) else { return Ok(default) };
    let within = |error: Error| error.within(&format!("the environment's value of the variable `{name}`"));
    let value = match (wanted, &default) {
        (wanted, _) if is_typed && is_json => {
            let json = serde_json::from_str(text).map_err(|error| Error::new(format!("this is not JSON: {error}")));
            json.and_then(|json| wanted.convert(Value::from_json(&json)))
        }
        (Type::List(_) | Type::Set(_) | Type::Tuple(_) | Type::Map(_), _) => from_csv(text, wanted),
        (Type::Object(_), _) => {
            Err(Error::new(format!("an object is given as JSON, in the variable {name}{JSON_SUFFIX}")))
        }
        (Type::Any, _) if is_typed => Ok(Value::text(text)),
        (Type::Any, Value::Bool(_)) => primitive(text, &Type::Bool),
        (Type::Any, Value::Number(_)) => primitive(text, &Type::Number),
        (Type::Any, Value::List(_) | Value::Map(_)) => {
            Err(Error::new("a variable without a type whose default is not a text, number or truth cannot be given"))
        }
        (Type::Any, _) => Ok(Value::text(text)),
        (wanted, _) => primitive(text, wanted),
    };
    value.map_err(within)
}

fn primitive(text: &str, wanted: &Type) -> Result<Value, Error> {
    match wanted {
        Type::Text => Ok(Value::text(text)),
        Type::Bool => {
            parse_bool(text).map(Value::Bool).ok_or_else(|| Error::new(format!("`{text}` is not true or false")))
        }
        Type::Number => {
            parse_number(text).map(Value::Number).ok_or_else(|| Error::new(format!("`{text}` is not a number")))
        }
        _ => Err(Error::new("this type is given as JSON")),
    }
}

fn from_csv(text: &str, wanted: &Type) -> Result<Value, Error> {
    let fields = csv::fields(text)?;
    let all = |of: &Type| fields.iter().map(|field| primitive(field, of)).collect::<Result<Vec<_>, _>>();
    match wanted {
        Type::List(of) => all(of).map(Value::List),
        Type::Set(of) => all(of).map(Value::set),
        Type::Tuple(types) if types.len() == fields.len() => {
            let pairs = types.iter().zip(&fields);
            pairs.map(|(of, field)| primitive(field, of)).collect::<Result<_, _>>().map(Value::List)
        }
        Type::Tuple(types) => Err(Error::new(format!("{} fields are expected, not {}", types.len(), fields.len()))),
        Type::Map(of) => {
            let mut map = BTreeMap::new();
            for field in &fields {
                match csv::split(field, ':')?.as_slice() {
                    [key, value] => drop(map.insert(key.clone(), primitive(value, of)?)),
                    _ => return Err(Error::new(format!("`{field}`: KEY:VALUE is expected"))),
                }
            }
            Ok(Value::Map(map))
        }
        _ => Err(Error::new("this type is given as JSON")),
    }
}

/// Evaluates the conditions of a variable.
pub(crate) fn validate(name: &str, block: &Block, scope: &Scope<'_>) -> Result<(), Error> {
    for validation in &block.body.blocks {
        let missing = |what: &str| validation.place.error(format!("a validation of `{name}` has no `{what}`"));
        let condition = validation.body.attribute("condition").ok_or_else(|| missing("condition"))?;
        let message = validation.body.attribute("error_message").ok_or_else(|| missing("error_message"))?;
        let within = |error: Error| error.within(&format!("a condition of the variable `{name}`"));
        let holds = scope.value(&condition.expression).and_then(|value| value.to_bool());
        if holds.map_err(within).map_err(condition.place.of())? {
            continue;
        }
        let text = scope.value(&message.expression).and_then(|value| value.to_text()).map_err(message.place.of())?;
        return Err(condition.place.error(format!("the variable `{name}` is not valid: {text}")));
    }
    Ok(())
}
