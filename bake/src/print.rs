//! The JSON of resolved targets, byte for byte as `docker buildx bake --print` writes it.

use crate::entries::Entry;
use crate::target::{Group, Target};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Writes groups and targets as JSON.
pub(crate) fn print(groups: &BTreeMap<String, Group>, targets: &BTreeMap<String, Target>) -> String {
    let mut document = Map::new();
    if !groups.is_empty() {
        let groups = groups.iter().map(|(name, group)| (name.clone(), group.to_json()));
        document.insert("group".to_owned(), Json::Object(groups.collect()));
    }
    let targets = targets.iter().map(|(name, target)| (name.clone(), target.to_json()));
    document.insert("target".to_owned(), Json::Object(targets.collect()));
    escape_html(&format!("{:#}", Json::Object(document)))
}

/// Escapes what Go's JSON escapes: it could stand within HTML.
pub(crate) fn escape_html(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => escaped.push_str(&format!("\\u{:04x}", u32::from(char))),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Writes a text so that HCL reads it as it is.
fn template(text: &str) -> Json {
    Json::String(text.replace("${", "$${").replace("%{", "%%{"))
}

impl Group {
    fn to_json(&self) -> Json {
        let mut object = Map::new();
        if !self.description.is_empty() {
            object.insert("description".to_owned(), Json::from(self.description.clone()));
        }
        object.insert("targets".to_owned(), Json::from(self.targets.clone()));
        Json::Object(object)
    }
}

/// An object of which empty fields are left out.
#[derive(Default)]
struct Fields(Map<String, Json>);

impl Fields {
    fn text(&mut self, name: &str, text: Option<&String>) {
        text.map(|text| self.0.insert(name.to_owned(), Json::String(text.clone())));
    }

    fn truth(&mut self, name: &str, truth: Option<bool>) {
        truth.map(|truth| self.0.insert(name.to_owned(), Json::Bool(truth)));
    }

    fn list<T>(&mut self, name: &str, list: &[T], write: impl Fn(&T) -> Json) {
        if !list.is_empty() {
            self.0.insert(name.to_owned(), Json::Array(list.iter().map(write).collect()));
        }
    }

    fn map(&mut self, name: &str, map: &BTreeMap<String, String>, write: impl Fn(&str, &str) -> Json) {
        if !map.is_empty() {
            let pairs = map.iter().map(|(key, value)| (key.clone(), write(key, value)));
            self.0.insert(name.to_owned(), Json::Object(pairs.collect()));
        }
    }
}

impl Target {
    fn to_json(&self) -> Json {
        let plain = |text: &String| Json::String(text.clone());
        let entry = |entry: &Entry| entry.to_json(false);
        let none: &[String] = &[];
        let mut fields = Fields::default();
        fields.text("description", Some(&self.description).filter(|text| !text.is_empty()));
        fields.list("annotations", &self.annotations, |text| template(text));
        fields.list("attest", &self.attest, |entry| entry.to_json(true));
        fields.text("context", self.context.as_ref());
        fields.map("contexts", &self.contexts, |_, value| Json::from(value));
        fields.text("dockerfile", self.dockerfile.as_ref());
        if let Some(text) = &self.dockerfile_inline {
            fields.0.insert("dockerfile-inline".to_owned(), template(text));
        }
        fields.map("args", &self.args, |_, value| template(value));
        fields.map("labels", &self.labels, |_, value| template(value));
        fields.list("tags", self.tags.as_deref().unwrap_or(none), plain);
        fields.list("cache-from", &self.cache_from, entry);
        fields.list("cache-to", self.cache_to.as_deref().unwrap_or_default(), entry);
        fields.text("target", self.target.as_ref());
        fields.list("secret", &self.secrets, |secret| secret.to_json());
        fields.list("ssh", &self.ssh, |ssh| ssh.to_json());
        fields.list("platforms", self.platforms.as_deref().unwrap_or(none), plain);
        fields.list("output", self.outputs.as_deref().unwrap_or_default(), entry);
        fields.truth("pull", self.pull);
        fields.truth("no-cache", self.no_cache);
        fields.text("network", self.network.as_ref());
        fields.list("no-cache-filter", &self.no_cache_filter, plain);
        fields.text("shm-size", self.shm_size.as_ref());
        fields.list("ulimits", &self.ulimits, plain);
        let resources: Map<String, Json> = self.resources_in_order().collect();
        if !resources.is_empty() {
            fields.0.insert("resources".to_owned(), Json::Object(resources));
        }
        fields.text("call", self.call.as_ref());
        fields.list("entitlements", &self.entitlements, plain);
        fields.map("extra-hosts", &self.extra_hosts, |_, value| template(value));
        Json::Object(fields.0)
    }
}
