//! The OpenAPI document: it has every route and method of the router, and answers of a running server are as it says.

use crate::service::api::{ADMIN, ask};
use crate::support::{Site, curl};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Checks a value with a schema of the document: the keywords that the document uses, and no others.
struct Validator<'d> {
    document: &'d Value,
}

impl Validator<'_> {
    fn check(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        if let Some(name) = schema["$ref"].as_str() {
            let pointer = name.strip_prefix('#').unwrap();
            let target = self.document.pointer(pointer).ok_or_else(|| format!("{name} is missing"))?;
            return self.check(target, value, place);
        }
        for one in schema["allOf"].as_array().into_iter().flatten() {
            self.check(one, value, place)?;
        }
        for keyword in ["oneOf", "anyOf"] {
            let Some(choices) = schema[keyword].as_array() else { continue };
            let failures: Vec<_> = choices.iter().filter_map(|one| self.check(one, value, place).err()).collect();
            let matching = choices.len() - failures.len();
            if matching == 0 || keyword == "oneOf" && matching > 1 {
                return Err(format!("{place}: {matching} of {keyword} match {value}: {failures:?}"));
            }
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.contains(value)
        {
            return Err(format!("{place}: {value} is not one of {values:?}"));
        }
        if let Some(constant) = schema.get("const")
            && constant != value
        {
            return Err(format!("{place}: {value} is not {constant}"));
        }
        self.check_type(&schema["type"], value, place)?;
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.is_object() && value.get(name).is_none() {
                return Err(format!("{place}: `{name}` is missing in {value}"));
            }
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(found) = value.get(name) {
                self.check(inner, found, &format!("{place}.{name}"))?;
            }
        }
        if let Some(items) = schema.get("items") {
            for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                self.check(items, item, &format!("{place}[{number}]"))?;
            }
        }
        Ok(())
    }

    fn check_type(&self, wanted: &Value, value: &Value, place: &str) -> Result<(), String> {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = |name: &Value| name == found || name == "number" && found == "integer";
        match wanted {
            Value::Null => Ok(()),
            Value::Array(names) if names.iter().any(fits) => Ok(()),
            name if fits(name) => Ok(()),
            other => Err(format!("{place}: {value} is not of the type {other}")),
        }
    }

    /// Checks an answer with the schema that an operation has for its status, and that the operation tells of all its keys.
    fn check_answer(&self, method: &str, path: &str, status: u16, answer: &Value) {
        let operation = &self.document["paths"][path][method.to_lowercase()];
        let responses = &operation["responses"];
        let status = status.to_string();
        let response = responses.get(&status).unwrap_or(&responses["default"]);
        let (_, content) = response["content"].as_object().expect("a body").iter().next().unwrap();
        let schema = &content["schema"];
        let place = format!("{method} {path} {status}");
        self.check(schema, answer, &place).unwrap_or_else(|problem| panic!("{problem}"));
        let known = self.keys(schema);
        let unknown: Vec<_> =
            answer.as_object().into_iter().flatten().filter(|(key, _)| !known.contains(*key)).collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?} is not in the document, {known:?} is");
    }

    /// Returns the keys that a schema knows.
    fn keys(&self, schema: &Value) -> BTreeSet<String> {
        if let Some(name) = schema["$ref"].as_str() {
            return self.keys(self.document.pointer(name.strip_prefix('#').unwrap()).unwrap());
        }
        let own = schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
        let parts = ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|keyword| schema[keyword].as_array()).flatten();
        own.chain(parts.flat_map(|part| self.keys(part))).collect()
    }
}

#[test]
fn every_route_and_method_is_in_the_document() {
    let site = Site::start(ADMIN);
    let document = curl(&[&format!("{}/v1/openapi.json", site.url)]).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let router = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/webhook/src/router.rs")).unwrap();
    let routes =
        router.split(".route(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    let routes: BTreeSet<&str> = routes.collect();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(routes, paths.keys().map(String::as_str).collect());
    for (path, operations) in paths {
        let url = format!("{}{}", site.url, path.replace(['{', '}'], ""));
        let answer = curl(&["--path-as-is", "-X", "BREW", &url]);
        let detail = answer.json()["detail"].as_str().unwrap().to_lowercase();
        let (_, allowed) = detail.split_once("it takes ").unwrap_or_else(|| panic!("{path}: {detail}"));
        let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).filter(|method| *method != "head").collect();
        let documented: BTreeSet<&str> = operations.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(allowed, documented, "{path}");
    }
}

#[test]
fn answers_are_as_the_document_says() {
    let site = Site::start(ADMIN);
    site.push_base();
    let document = curl(&[&format!("{}/v1/openapi.json", site.url)]).json();
    let validator = Validator { document: &document };
    let check = |method: &str, path: &str, url: &str, body: &Value| {
        let answer = ask(&site, method, url, body);
        let value = answer.json();
        validator.check_answer(method, path, answer.status, &value);
        value
    };
    let repository = "/v1/repos/{namespace}/{name}";
    let below = |rest: &str| (format!("{repository}{rest}"), format!("/v1/repos/team/app{rest}"));
    let files = [("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY a /a\nRUN cat /a > /b\n"), ("a", "1")];
    let id = site.push(&site.commit(&files));
    // While it waits or runs, and after its end.
    check("GET", "/v1/builds/{id}", &format!("/v1/builds/{id}"), &Value::Null);
    check("GET", "/v1/queue", "/v1/queue", &Value::Null);
    site.succeeded(&id);
    let build = check("GET", "/v1/builds/{id}", &format!("/v1/builds/{id}"), &Value::Null);
    assert!(build["steps"].as_array().is_some_and(|steps| steps.len() == 2), "{build}");
    for path in ["/v1/builds", "/v1/deliveries", "/v1/repos", "/v1/queue", "/v1/version", "/v1/whoami"] {
        check("GET", path, path, &Value::Null);
    }
    let (user, users) = ("/v1/registry/users/{user}", "/v1/registry/users");
    check("POST", users, users, &json!({ "name": "ada", "rights": [{ "pattern": "team/*", "actions": ["pull"] }] }));
    check("POST", users, users, &json!({ "name": "ada" }));
    check("GET", users, users, &Value::Null);
    check("GET", user, "/v1/registry/users/ada", &Value::Null);
    check("PUT", &format!("{user}/password"), "/v1/registry/users/ada/password", &json!({}));
    let right = json!({ "everybody": true, "pattern": "base/*", "actions": ["pull"] });
    check("PUT", "/v1/registry/rights", "/v1/registry/rights", &right);
    check("GET", "/v1/registry/rights", "/v1/registry/rights", &Value::Null);
    for rest in ["", "/rules", "/reconcile", "/base-images", "/usage", "/secrets", "/webhooks", "/webhooks/deliveries"]
    {
        let (path, url) = below(rest);
        check("GET", &path, &url, &Value::Null);
    }
    check("GET", &format!("{repository}/builds/{{number}}"), "/v1/repos/team/app/builds/latest", &Value::Null);
    let (tests, tested) = below("/rules:test");
    for git_ref in ["main", "nowhere"] {
        check("POST", &tests, &tested, &json!({ "ref": git_ref }));
    }
    let (triggers, trigger) = below("/builds");
    let plan = check("POST", &triggers, &trigger, &json!({ "ref": "main", "dry_run": true }));
    assert!(plan["plan"].as_array().is_some_and(|plan| !plan.is_empty()), "{plan}");
    let second = check("POST", &triggers, &trigger, &json!({ "ref": "main" }))["builds"][0]["id"].clone();
    let second = second.as_str().unwrap();
    site.succeeded(second);
    check("GET", "/v1/builds/{id}/explain", &format!("/v1/builds/{second}/explain"), &Value::Null);
    check("POST", "/v1/builds/{id}/retry", &format!("/v1/builds/{second}/retry"), &json!({}));
    check("POST", "/v1/builds/{id}/cancel", &format!("/v1/builds/{second}/cancel"), &json!({}));
    check("GET", "/v1/builds/{id}", "/v1/builds/none", &Value::Null);
    let delivery = check("GET", "/v1/deliveries", "/v1/deliveries", &Value::Null)["deliveries"][0]["id"].clone();
    check("GET", "/v1/deliveries/{id}", &format!("/v1/deliveries/{delivery}"), &Value::Null);
    check("POST", "/v1/deliveries/{id}/replay", &format!("/v1/deliveries/{delivery}/replay"), &json!({}));
}

#[test]
fn the_validator_finds_what_is_wrong() {
    let document = json!({ "components": { "schemas": { "One": {
        "type": "object", "required": ["id"],
        "properties": { "id": { "type": "string" }, "size": { "type": ["integer", "null"] }, "tags": { "type": "array", "items": { "type": "string" } } },
    } } } });
    let validator = Validator { document: &document };
    let check = |value: Value| validator.check(&json!({ "$ref": "#/components/schemas/One" }), &value, "one");
    check(json!({ "id": "a", "size": null, "tags": ["b"] })).unwrap();
    for bad in
        [json!({}), json!({ "id": 1 }), json!({ "id": "a", "size": "b" }), json!({ "id": "a", "tags": [1] }), json!([])]
    {
        assert!(check(bad.clone()).is_err(), "{bad}");
    }
}
