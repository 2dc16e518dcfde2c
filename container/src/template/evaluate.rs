//! From a tree and data to text.

use super::functions;
use super::parse::{Expression, Node};
use super::value::{is_true, shown};
use serde_json::Value;

/// Fields that hold a list: without one they are printed as an empty list.
const LISTS: [&str; 9] = ["Cmd", "Entrypoint", "Env", "OnBuild", "Shell", "RepoTags", "RepoDigests", "Args", "Binds"];
/// Fields that hold a map.
const MAPS: [&str; 4] = ["Volumes", "Labels", "ExposedPorts", "Ports"];

/// Returns the text of `nodes` for `data`.
pub(crate) fn render(nodes: &[Node], data: &Value) -> Result<String, String> {
    let mut scope = Scope { root: data, variables: Vec::new(), text: String::new() };
    scope.nodes(nodes, data)?;
    Ok(scope.text)
}

struct Scope<'d> {
    root: &'d Value,
    variables: Vec<(String, Value)>,
    text: String,
}

impl Scope<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        let known = self.variables.len();
        for node in nodes {
            match node {
                Node::Text(text) => self.text.push_str(text),
                Node::Print(None, value) => {
                    let printed = self.printed(value, dot)?;
                    self.text.push_str(&printed);
                }
                Node::Print(Some(name), value) => {
                    let value = self.value(value, dot)?;
                    self.variables.push((name.clone(), value));
                }
                Node::If(cases, otherwise) => self.choose(cases, otherwise, dot)?,
                Node::With(value, body, otherwise) => {
                    let value = self.value(value, dot)?;
                    match is_true(&value) {
                        true => self.nodes(body, &value)?,
                        false => self.nodes(otherwise, dot)?,
                    }
                }
                Node::Range(names, list, body, otherwise) => {
                    let list = self.value(list, dot)?;
                    let items = items(&list)?;
                    if items.is_empty() {
                        self.nodes(otherwise, dot)?;
                    }
                    for (key, item) in items {
                        let before = self.variables.len();
                        let values = if names.len() == 2 { vec![key, item.clone()] } else { vec![item.clone()] };
                        self.variables.extend(names.iter().cloned().zip(values));
                        self.nodes(body, &item)?;
                        self.variables.truncate(before);
                    }
                }
            }
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn choose(&mut self, cases: &[(Expression, Vec<Node>)], otherwise: &[Node], dot: &Value) -> Result<(), String> {
        for (condition, body) in cases {
            if is_true(&self.value(condition, dot)?) {
                return self.nodes(body, dot);
            }
        }
        self.nodes(otherwise, dot)
    }

    /// Returns how a value is printed; a list or map that is not there is an empty one.
    fn printed(&self, expression: &Expression, dot: &Value) -> Result<String, String> {
        let value = self.value(expression, dot)?;
        let last = match expression {
            Expression::Field(names) | Expression::Variable(_, names) | Expression::Below(_, names) => names.last(),
            _ => None,
        };
        Ok(match last {
            Some(name) if value.is_null() && LISTS.contains(&name.as_str()) => "[]".to_owned(),
            Some(name) if value.is_null() && MAPS.contains(&name.as_str()) => "map[]".to_owned(),
            _ => shown(&value),
        })
    }

    fn value(&self, expression: &Expression, dot: &Value) -> Result<Value, String> {
        match expression {
            Expression::Field(names) => below(dot, names),
            Expression::Constant(value) => Ok(value.clone()),
            Expression::Variable(name, names) if name.is_empty() => below(self.root, names),
            Expression::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                below(&known.ok_or_else(|| format!("undefined variable \"${name}\""))?.1, names)
            }
            Expression::Below(inner, names) => below(&self.value(inner, dot)?, names),
            Expression::Call(function, arguments) => {
                let arguments: Vec<Value> =
                    arguments.iter().map(|argument| self.value(argument, dot)).collect::<Result<_, _>>()?;
                functions::call(function, &arguments)
                    .map_err(|problem| format!("at <{function}>: error calling {function}: {problem}"))
            }
        }
    }
}

/// Follows names into a value.
fn below(value: &Value, names: &[String]) -> Result<Value, String> {
    let mut found = value;
    for name in names {
        let path = || names.iter().map(|name| format!(".{name}")).collect::<String>();
        found = match found {
            Value::Object(fields) => {
                fields.get(name).ok_or_else(|| format!("at <{}>: map has no entry for key \"{name}\"", path()))?
            }
            Value::Null => return Err(format!("at <{}>: nil pointer evaluating interface {{}}.{name}", path())),
            _ => return Err(format!("at <{}>: can't evaluate field {name} in type interface {{}}", path())),
        };
    }
    Ok(found.clone())
}

/// Returns the keys and values of a list or map; maps are sorted by key.
fn items(list: &Value) -> Result<Vec<(Value, Value)>, String> {
    match list {
        Value::Array(items) => Ok(items.iter().enumerate().map(|(at, item)| (Value::from(at), item.clone())).collect()),
        Value::Object(fields) => {
            let mut items: Vec<_> =
                fields.iter().map(|(key, item)| (Value::from(key.as_str()), item.clone())).collect();
            items.sort_by(|one, other| one.0.as_str().cmp(&other.0.as_str()));
            Ok(items)
        }
        Value::Null => Ok(Vec::new()),
        other => Err(format!("range can't iterate over {}", shown(other))),
    }
}
