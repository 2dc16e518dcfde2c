//! One operation of the API, as its OpenAPI document describes it.

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};

pub(super) const DELETE: &str = "delete";
pub(super) const GET: &str = "get";
pub(super) const PATCH: &str = "patch";
pub(super) const POST: &str = "post";
pub(super) const PUT: &str = "put";

/// Returns a reference to the schema of a view; the schema itself, and all below it, go to the generator's definitions.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The body of an answer.
pub(crate) enum Content {
    /// A view as JSON.
    View(SchemaOf),
    /// Text of a media type.
    Media(&'static str),
    /// Nothing.
    Empty,
}

/// An operation on a path.
pub(crate) struct Operation {
    /// The method in lower case, as OpenAPI has it.
    pub method: &'static str,
    /// The path as the router has it.
    pub path: &'static str,
    /// One line of text.
    pub summary: &'static str,
    /// Keys of the query.
    pub query: &'static [&'static str],
    /// Schema of the request's body.
    pub body: Option<SchemaOf>,
    /// Answers by status.
    pub answers: Vec<(u16, Content)>,
    /// Whether it never needs a token.
    pub is_open: bool,
}

impl Operation {
    pub(super) fn new(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
        Operation { method, path, summary, query: &[], body: None, answers: Vec::new(), is_open: false }
    }

    pub(super) fn view<T: JsonSchema>(self, status: u16) -> Operation {
        self.answer(status, Content::View(schema_of::<T>))
    }

    pub(super) fn media(self, kind: &'static str) -> Operation {
        self.answer(200, Content::Media(kind))
    }

    pub(super) fn answer(mut self, status: u16, content: Content) -> Operation {
        self.answers.push((status, content));
        self
    }

    pub(super) fn query(mut self, query: &'static [&'static str]) -> Operation {
        self.query = query;
        self
    }

    pub(super) fn body<T: JsonSchema>(mut self) -> Operation {
        self.body = Some(schema_of::<T>);
        self
    }

    pub(super) fn open(mut self) -> Operation {
        self.is_open = true;
        self
    }
}

/// Returns a reference to the schema of a view.
pub(super) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
