//! `docs/configuration.md` has every key of `slipway.toml` in its section, and no key that does not exist.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Sections that are maps by a name, with what the page writes for the name.
const MAPS: [(&str, &str); 5] = [
    ("forges", r#"forges."HOST""#),
    ("git", r#"git."HOST""#),
    ("mirrors", r#"mirrors."HOST""#),
    ("registries", r#"registries."HOST""#),
    ("sign_in.oidc", r#"sign_in.oidc."NAME""#),
];

/// Follows references within the schema; of an optional value, the value.
fn resolved<'s>(schema: &'s Value, of: &'s Value) -> &'s Value {
    if let Some(name) = of["$ref"].as_str() {
        return resolved(schema, schema.pointer(name.trim_start_matches('#')).unwrap());
    }
    let alternatives =
        of["anyOf"].as_array().filter(|alternatives| alternatives.iter().any(|one| one["type"] == "null"));
    match alternatives.and_then(|alternatives| alternatives.iter().find(|one| one["type"] != "null")) {
        Some(value) => resolved(schema, value),
        None => of,
    }
}

/// Collects `section key` of a table and of the tables below it.
fn collect(schema: &Value, table: &Value, section: &str, keys: &mut BTreeSet<String>) {
    for (key, value) in table["properties"].as_object().into_iter().flatten() {
        if !section.is_empty() {
            keys.insert(format!("{section} {key}"));
        }
        let below = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        let value = resolved(schema, value);
        let items = resolved(schema, &value["items"]);
        let named = MAPS.iter().find(|(name, _)| *name == below);
        match named {
            Some((_, shown)) => collect(schema, resolved(schema, &value["additionalProperties"]), shown, keys),
            None if items["properties"].is_object() => collect(schema, items, &below, keys),
            None => collect(schema, value, &below, keys),
        }
    }
}

/// Reads `section key` from the headings and tables of the page.
fn of_page(page: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let name = heading.trim_start_matches('#').trim().trim_matches('`');
            section = name.trim_matches(['[', ']']).to_owned();
        } else if let Some(cell) = line.strip_prefix("| `").and_then(|line| line.split('|').next()) {
            let named = cell.split(',').map(|key| key.trim().trim_matches('`'));
            keys.extend(named.map(|key| format!("{section} {key}")));
        }
    }
    keys
}

#[test]
fn the_page_of_the_configuration_has_every_key() {
    let schema = webhook::Configuration::schema();
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, "", &mut keys);
    assert!(keys.len() > 100, "{keys:#?}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = of_page(&std::fs::read_to_string(page).unwrap());
    let missing: Vec<_> = keys.difference(&page).collect();
    let invented: Vec<_> = page.difference(&keys).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing: {missing:#?}, not a key: {invented:#?}");
}
