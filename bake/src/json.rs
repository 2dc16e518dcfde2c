//! Bake files in JSON: their objects are blocks where HCL has blocks, their texts are templates.

use crate::Error;
use crate::syntax::{Attribute, Block, Body, Place};
use hcl_edit::Number;
use hcl_edit::expr::{Array, Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::template::{StringTemplate, Template};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::rc::Rc;

/// Words whose objects are blocks with a label.
const LABELED: [&str; 4] = ["variable", "function", "group", "target"];

/// JSON in which a name may stand twice: two blocks of one name are two blocks.
#[derive(Debug)]
enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Pairs(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = entries.next_entry()? {
            pairs.push(pair);
        }
        Ok(Json::Pairs(pairs))
    }
}

/// Reads JSON.
pub(crate) fn parse_json(name: &str, text: &str) -> Result<Body, Error> {
    let json: Json = serde_json::from_str(text)
        .map_err(|error| Error::new(format!("this is not JSON: {error}")).at(name, Some(error.line())))?;
    let file = File { name: Rc::from(name) };
    match json {
        Json::Pairs(pairs) => file.top(pairs),
        _ => Err(file.error("an object is expected: {\"target\": {…}}")),
    }
}

struct File {
    name: Rc<str>,
}

impl File {
    fn place(&self) -> Place {
        Place { file: self.name.clone(), line: None }
    }

    fn error(&self, text: impl Into<String>) -> Error {
        self.place().error(text)
    }

    fn top(&self, pairs: Vec<(String, Json)>) -> Result<Body, Error> {
        let mut body = Body::default();
        for (name, value) in pairs {
            match name.as_str() {
                // A comment, as HCL's JSON has it.
                "//" => {}
                kind if LABELED.contains(&kind) => self.blocks(kind, value, &mut body.blocks)?,
                _ => body.attributes.push(self.attribute(name, value)?),
            }
        }
        Ok(body)
    }

    fn blocks(&self, kind: &str, value: Json, found: &mut Vec<Block>) -> Result<(), Error> {
        match value {
            Json::List(list) => list.into_iter().try_for_each(|value| self.blocks(kind, value, found)),
            Json::Pairs(pairs) => pairs.into_iter().try_for_each(|pair| self.block(kind, pair, found)),
            _ => Err(self.error(format!("`{kind}` needs an object with names"))),
        }
    }

    fn block(&self, kind: &str, named: (String, Json), found: &mut Vec<Block>) -> Result<(), Error> {
        match named {
            (label, Json::Pairs(pairs)) => {
                let body = self.content(kind, pairs)?;
                found.push(Block { kind: kind.to_owned(), labels: vec![label], body, place: self.place() });
                Ok(())
            }
            (label, Json::List(list)) => {
                list.into_iter().try_for_each(|value| self.block(kind, (label.clone(), value), found))
            }
            (label, _) => Err(self.error(format!("`{kind}.{label}` needs an object"))),
        }
    }

    fn content(&self, kind: &str, pairs: Vec<(String, Json)>) -> Result<Body, Error> {
        let mut body = Body::default();
        for (name, value) in pairs {
            match (kind, name.as_str()) {
                (_, "//") => {}
                ("variable", "validation") => self.validations(value, &mut body.blocks)?,
                _ if body.attribute(&name).is_some() => return Err(self.error(format!("`{name}` is set twice"))),
                _ => body.attributes.push(self.attribute(name, value)?),
            }
        }
        Ok(body)
    }

    fn validations(&self, value: Json, found: &mut Vec<Block>) -> Result<(), Error> {
        match value {
            Json::List(list) => list.into_iter().try_for_each(|value| self.validations(value, found)),
            Json::Pairs(pairs) => {
                let body = self.content("validation", pairs)?;
                found.push(Block { kind: "validation".to_owned(), labels: Vec::new(), body, place: self.place() });
                Ok(())
            }
            _ => Err(self.error("`validation` needs an object")),
        }
    }

    fn attribute(&self, name: String, value: Json) -> Result<Attribute, Error> {
        let expression = self.expression(value)?;
        Ok(Attribute { name, expression, place: self.place() })
    }

    fn expression(&self, value: Json) -> Result<Expression, Error> {
        Ok(match value {
            Json::Null => Expression::null(),
            Json::Bool(truth) => Expression::from(truth),
            Json::Number(number) => match Number::from_f64(number) {
                Some(number) => Expression::from(number),
                None => return Err(self.error("a number is not finite")),
            },
            Json::Text(text) => self.template(&text)?,
            Json::List(list) => {
                let elements = list.into_iter().map(|value| self.expression(value));
                Expression::Array(elements.collect::<Result<Vec<_>, _>>()?.into_iter().collect::<Array>())
            }
            Json::Pairs(pairs) => {
                let pairs = pairs.into_iter().map(|(key, value)| {
                    Ok((ObjectKey::Expression(self.template(&key)?), ObjectValue::new(self.expression(value)?)))
                });
                Expression::Object(pairs.collect::<Result<Vec<_>, Error>>()?.into_iter().collect::<Object>())
            }
        })
    }

    fn template(&self, text: &str) -> Result<Expression, Error> {
        if !text.contains("${") && !text.contains("%{") {
            return Ok(Expression::from(text));
        }
        let template: Template = text.parse().map_err(|error: hcl_edit::parser::Error| {
            self.error(format!("`{text}` is not a template: {}", error.message().replace('\n', ", ")))
        })?;
        let elements: Vec<_> = template.into_iter().collect();
        Ok(Expression::StringTemplate(StringTemplate::from(elements)))
    }
}
