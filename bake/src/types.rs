//! Type constraints: `string`, `list(number)`, `object({name = string})`, and how a value becomes one of a type.

use crate::Error;
use crate::value::Value;
use hcl_edit::expr::{Expression, ObjectKey};
use std::collections::BTreeMap;

/// A type that a variable may be declared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// Whatever it is.
    Any,
    /// A text.
    Text,
    /// A number.
    Number,
    /// A truth.
    Bool,
    /// A list.
    List(Box<Type>),
    /// A set.
    Set(Box<Type>),
    /// A map with keys that are not named.
    Map(Box<Type>),
    /// A list of so many elements.
    Tuple(Vec<Type>),
    /// A map with these keys; some may be missing.
    Object(BTreeMap<String, Attribute>),
}

/// An attribute of an object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    wanted: Type,
    optional: bool,
}

impl Type {
    /// Reads the type that an expression writes.
    pub(crate) fn parse(expression: &Expression) -> Result<Type, Error> {
        let wrong = || {
            let known = "string, number, bool, any, list(…), set(…), map(…), tuple([…]) and object({…})";
            Error::new(format!("`{}` is not a type; {known} are", expression.to_string().trim()))
        };
        match expression {
            Expression::Variable(name) => Type::named(name.as_str()).ok_or_else(wrong),
            // Types of JSON files are texts.
            Expression::String(text) => {
                let inner: Expression = text.as_str().parse().map_err(|_| wrong())?;
                if inner.is_str() { Err(wrong()) } else { Type::parse(&inner) }
            }
            Expression::Parenthesis(inner) => Type::parse(inner.inner()),
            Expression::FuncCall(call) => {
                let argument = call.args.get(0).filter(|_| call.args.len() == 1).ok_or_else(wrong)?;
                match (call.name.name.as_str(), argument) {
                    ("list", of) => Ok(Type::List(Box::new(Type::parse(of)?))),
                    ("set", of) => Ok(Type::Set(Box::new(Type::parse(of)?))),
                    ("map", of) => Ok(Type::Map(Box::new(Type::parse(of)?))),
                    ("tuple", Expression::Array(types)) => {
                        types.iter().map(Type::parse).collect::<Result<_, _>>().map(Type::Tuple)
                    }
                    ("object", Expression::Object(object)) => {
                        let attributes = object.iter().map(|(key, value)| {
                            let name = match key {
                                ObjectKey::Ident(name) => name.as_str().to_owned(),
                                ObjectKey::Expression(key) => key.as_str().ok_or_else(wrong)?.to_owned(),
                            };
                            Ok((name, Attribute::parse(value.expr())?))
                        });
                        attributes.collect::<Result<_, Error>>().map(Type::Object)
                    }
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }

    fn named(name: &str) -> Option<Type> {
        Some(match name {
            "string" => Type::Text,
            "number" => Type::Number,
            "bool" => Type::Bool,
            "any" => Type::Any,
            _ => return None,
        })
    }

    /// Returns the value as one of this type.
    pub(crate) fn convert(&self, value: Value) -> Result<Value, Error> {
        if value == Value::Null {
            return Ok(value);
        }
        let all =
            |of: &Type, list: &[Value]| list.iter().map(|value| of.convert(value.clone())).collect::<Result<_, _>>();
        Ok(match self {
            Type::Any => value,
            Type::Text => Value::Text(value.to_text()?),
            Type::Number => Value::Number(value.to_number()?),
            Type::Bool => Value::Bool(value.to_bool()?),
            Type::List(of) => Value::List(all(of, value.as_list()?)?),
            Type::Set(of) => Value::set(all(of, value.as_list()?)?),
            Type::Map(of) => {
                let pairs = value.as_map()?.iter().map(|(key, value)| Ok((key.clone(), of.convert(value.clone())?)));
                Value::Map(pairs.collect::<Result<_, Error>>()?)
            }
            Type::Tuple(types) => {
                let list = value.as_list()?;
                if list.len() != types.len() {
                    return Err(Error::new(format!("{} elements are expected, not {}", types.len(), list.len())));
                }
                let pairs = types.iter().zip(list);
                Value::List(pairs.map(|(of, value)| of.convert(value.clone())).collect::<Result<_, _>>()?)
            }
            Type::Object(attributes) => Value::Map(object(attributes, value.as_map()?)?),
        })
    }
}

impl Attribute {
    fn parse(expression: &Expression) -> Result<Attribute, Error> {
        if let Expression::FuncCall(call) = expression
            && call.name.name.as_str() == "optional"
        {
            return match call.args.get(0).filter(|_| call.args.len() == 1) {
                Some(wanted) => Ok(Attribute { wanted: Type::parse(wanted)?, optional: true }),
                None => Err(Error::new("optional(…) takes one type")),
            };
        }
        Ok(Attribute { wanted: Type::parse(expression)?, optional: false })
    }
}

fn object(
    attributes: &BTreeMap<String, Attribute>,
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, Error> {
    let mut object = BTreeMap::new();
    for (name, attribute) in attributes {
        let value = match given.get(name) {
            Some(value) => {
                attribute.wanted.convert(value.clone()).map_err(|error| error.within(&format!("`{name}`")))?
            }
            None if attribute.optional => Value::Null,
            None => return Err(Error::new(format!("the attribute `{name}` is required"))),
        };
        object.insert(name.clone(), value);
    }
    Ok(object)
}
