//! `GET /v1/openapi.json`: the OpenAPI 3.1 document, generated from the views and the table of operations.

use super::operation::{Content, Operation, schema_of};
use super::operations::operations;
use crate::http::answer;
use crate::view::service::ProblemView;
use axum::http::HeaderMap;
use axum::response::Response;
use schemars::generate::{SchemaGenerator, SchemaSettings};

use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// Sends the document.
pub(crate) async fn show(headers: HeaderMap) -> Response {
    answer::document(&headers, &*DOCUMENT)
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for operation in operations() {
        let (path, method) = (operation.path, operation.method);
        let described = described(operation, &mut generator);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "slipway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Turns a `git push` into a pushed image. docs/api.md has the conventions.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn described(operation: Operation, generator: &mut SchemaGenerator) -> Value {
    let in_path = operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameter = |name: &str, place: &str| json!({ "name": name, "in": place, "required": place == "path", "schema": { "type": "string" } });
    let parameters = in_path.map(|name| parameter(name, "path"));
    let parameters = parameters.chain(operation.query.iter().map(|name| parameter(name, "query")));
    let mut described = json!({
        "summary": operation.summary,
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": {
            "default": {
                "description": "a problem",
                "content": { "application/problem+json": { "schema": schema_of::<ProblemView>(generator) } },
            },
        },
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({ "content": { "application/json": { "schema": body(generator) } } });
    }
    for (status, content) in operation.answers {
        described["responses"][status.to_string()] = match content {
            Content::View(schema) => {
                json!({ "description": "done", "content": { "application/json": { "schema": schema(generator) } } })
            }
            Content::Media(kind) => {
                json!({ "description": "done", "content": { kind: { "schema": { "type": "string" } } } })
            }
            Content::Empty => json!({ "description": "done, without a body" }),
        };
    }
    if !operation.is_open {
        described["security"] = json!([{ "token": [] }]);
    }
    described
}
