//! The form of a bake file: attributes and blocks with their lines, whether HCL or JSON wrote them.

use crate::Error;
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Body as HclBody, Structure};
use std::rc::Rc;

/// Where something stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The file's name.
    pub file: Rc<str>,
    /// The line, where it is known.
    pub line: Option<usize>,
}

impl Place {
    /// Returns a function that gives an error this place.
    pub(crate) fn of(&self) -> impl Fn(Error) -> Error + '_ {
        |error| error.at(&self.file, self.line)
    }

    /// Returns an error of this place.
    pub(crate) fn error(&self, text: impl Into<String>) -> Error {
        Error::new(text).at(&self.file, self.line)
    }
}

/// A name and its expression.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    /// The name.
    pub name: String,
    /// The expression.
    pub expression: Expression,
    /// Where it stands.
    pub place: Place,
}

/// A block with labels.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The word it begins with.
    pub kind: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// The content.
    pub body: Body,
    /// Where it stands.
    pub place: Place,
}

/// Attributes and blocks, each in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    /// The attributes.
    pub attributes: Vec<Attribute>,
    /// The blocks.
    pub blocks: Vec<Block>,
}

impl Body {
    /// Returns an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Refuses attributes and blocks that are not known.
    pub(crate) fn only(&self, owner: &str, attributes: &[&str], blocks: &[&str]) -> Result<(), Error> {
        let unknown = self.attributes.iter().find(|attribute| !attributes.contains(&attribute.name.as_str()));
        if let Some(Attribute { name, place, .. }) = unknown {
            return Err(
                place.error(format!("{owner} has an unknown attribute `{name}`; {} are known", attributes.join(", ")))
            );
        }
        match self.blocks.iter().find(|block| !blocks.contains(&block.kind.as_str())) {
            Some(Block { kind, place, .. }) => Err(place.error(format!("{owner} cannot hold a block `{kind}`"))),
            None => Ok(()),
        }
    }
}

/// Reads HCL.
pub(crate) fn parse_hcl(name: &str, text: &str) -> Result<Body, Error> {
    let parsed: HclBody = text.parse().map_err(|error: hcl_edit::parser::Error| {
        Error::new(format!("this is not HCL: {}: `{}`", error.message().replace('\n', ", "), error.line().trim()))
            .at(name, Some(error.location().line()))
    })?;
    let starts = line_starts(text);
    body(&Rc::from(name), &starts, parsed)
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn body(file: &Rc<str>, starts: &[usize], parsed: HclBody) -> Result<Body, Error> {
    let place = |span: Option<std::ops::Range<usize>>| Place {
        file: file.clone(),
        line: span.map(|span| starts.partition_point(|start| *start <= span.start)),
    };
    let mut read = Body::default();
    for structure in parsed {
        match structure {
            Structure::Attribute(attribute) => {
                let (name, place) = (attribute.key.as_str().to_owned(), place(attribute.key.span()));
                if read.attribute(&name).is_some() {
                    return Err(place.error(format!("`{name}` is set twice")));
                }
                read.attributes.push(Attribute { name, place, expression: attribute.value });
            }
            Structure::Block(block) => read.blocks.push(Block {
                kind: block.ident.as_str().to_owned(),
                place: place(block.ident.span()),
                labels: block.labels.iter().map(|label| label.as_str().to_owned()).collect(),
                body: body(file, starts, block.body)?,
            }),
        }
    }
    Ok(read)
}
