//! The settings of Docker Hub's Automated Builds, as its web page loads them, become repositories.
//!
//! The page asks for `/api/build/v1/source/?image=<namespace>/<repository>` and for each of the `build_settings` that the
//! answer links to; a browser's network tools save all of it as one HAR file, or each answer. Comments name the
//! settings of Docker Hub that slipway does not have.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A source of Docker Hub: what it builds an image from.
#[derive(Debug, Deserialize)]
struct Source {
    image: String,
    provider: String,
    owner: String,
    repository: String,
    #[serde(default)]
    build_settings: Vec<Value>,
    #[serde(default)]
    envvars: Vec<Variable>,
    #[serde(default)]
    autotests: Option<String>,
    #[serde(default)]
    repo_links: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Variable {
    #[serde(alias = "key")]
    name: String,
}

/// A rule of Docker Hub.
#[derive(Debug, Deserialize)]
struct Setting {
    source_type: String,
    source_name: String,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    dockerfile: String,
    #[serde(default)]
    build_context: String,
    #[serde(default)]
    autobuild: Option<bool>,
    #[serde(default)]
    nocache: Option<bool>,
}

/// The content of the files.
#[derive(Default)]
pub(crate) struct Found {
    sources: Vec<Value>,
    settings: Vec<Value>,
}

impl Found {
    /// Tells whether there is nothing of Docker Hub.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.settings.is_empty()
    }

    /// Adds the answers in `value`: one, a list of them, or all that a HAR file recorded.
    pub(crate) fn add(&mut self, value: Value) {
        match value {
            Value::Array(values) => values.into_iter().for_each(|value| self.add(value)),
            Value::Object(mut object) => {
                if let Some(Value::Array(objects)) = object.remove("objects") {
                    objects.into_iter().for_each(|value| self.add(value));
                } else if let Some(entries) = object.get("log").and_then(|log| log["entries"].as_array()) {
                    let texts = entries.iter().filter_map(|entry| entry["response"]["content"]["text"].as_str());
                    // A page also loads resources other than JSON.
                    texts.filter_map(|text| serde_json::from_str(text).ok()).for_each(|value| self.add(value));
                } else if object.contains_key("source_type") {
                    self.settings.push(Value::Object(object));
                } else if object.contains_key("build_settings") || object.contains_key("provider") {
                    self.sources.push(Value::Object(object));
                }
            }
            _ => {}
        }
    }

    /// Returns the settings that a link of a source leads to.
    fn linked(&self, link: &str) -> Option<&Value> {
        let is_it = |setting: &&Value| {
            let text = |key: &str| setting[key].as_str().filter(|text| !text.is_empty());
            text("resource_uri").is_some_and(|uri| uri.trim_matches('/') == link.trim_matches('/'))
                || text("uuid").is_some_and(|uuid| link.split('/').any(|part| part == uuid))
        };
        self.settings.iter().find(is_it)
    }
}

/// Returns the repositories in TOML.
pub(crate) fn converted(found: &Found, registry: &str) -> Result<String, String> {
    let mut written = String::new();
    for object in &found.sources {
        let source = Source::deserialize(object)
            .map_err(|error| format!("{error}: the answer of /api/build/v1/source/ is expected"))?;
        let document = json!({ "repositories": [document(found, &source, registry)?] });
        // Foreign text stays within its comment.
        let comment =
            |note: String| format!("# {}: {note}\n", source.image).replace(|char: char| char.is_control(), " ");
        written.extend(notes(&source).into_iter().map(|note| comment(note).trim_end().to_owned() + "\n"));
        written.push_str(&toml::to_string_pretty(&document).map_err(|error| format!("writing TOML: {error}"))?);
        written.push('\n');
    }
    let expected = "no sources were found: the answer of /api/build/v1/source/?image=… is expected";
    if written.is_empty() { Err(expected.to_owned()) } else { Ok(written) }
}

fn document(found: &Found, source: &Source, registry: &str) -> Result<Value, String> {
    let host = match source.provider.to_ascii_lowercase().as_str() {
        "github" => "github.com",
        "bitbucket" => "bitbucket.org",
        other => return Err(format!("{}: provider `{other}`: Github or Bitbucket is expected", source.image)),
    };
    let place = format!("{}/{}", source.owner, source.repository);
    let rules = source.build_settings.iter().enumerate().map(|(number, setting)| {
        let in_place = |problem: String| format!("{}: build_settings[{number}]: {problem}", source.image);
        let setting = match setting.as_str() {
            None => setting,
            Some(link) => found.linked(link).ok_or_else(|| {
                in_place(format!("{link} is a link: give the file of what Docker Hub answers there, too"))
            })?,
        };
        let setting = Setting::deserialize(setting).map_err(|error| in_place(error.to_string()))?;
        rule(&setting).map_err(in_place)
    });
    let mut document = json!({
        "name": source.image, "clone_url": format!("https://{host}/{place}.git"), "forge_name": place,
        "image": format!("{registry}/{}", source.image), "hub_hooks": true, "rules": rules.collect::<Result<Vec<_>, _>>()?,
    });
    // Docker Hub goes on building it until somebody switches over.
    let theirs = format!("docker.io/{}", source.image);
    if document["image"] != theirs.as_str() {
        document["shadow_of"] = theirs.into();
    }
    if source.repo_links == Some(true) {
        document["base_image_rebuild"] = true.into();
    }
    match source.autotests.as_deref() {
        None | Some("OFF") => {}
        Some("SOURCE_ONLY") => {
            (document["pull_requests"], document["autotest"]) = ("own".into(), "internal".into());
        }
        Some("SOURCE_AND_FORKS") => {
            (document["pull_requests"], document["autotest"]) = ("all".into(), "all".into());
        }
        Some(other) => {
            let expected = "OFF, SOURCE_ONLY or SOURCE_AND_FORKS is expected";
            return Err(format!("{}: autotests `{other}`: {expected}", source.image));
        }
    }
    Ok(document)
}

fn rule(setting: &Setting) -> Result<Value, String> {
    let kind = match setting.source_type.to_ascii_lowercase().as_str() {
        "branch" => "branch",
        "tag" => "tag",
        other => return Err(format!("source_type `{other}`: Branch or Tag is expected")),
    };
    let mut rule = Map::new();
    rule.insert(kind.to_owned(), setting.source_name.as_str().into());
    let tags: Vec<_> = setting.tag.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
    rule.insert("tags".to_owned(), tags.into());
    for (key, text) in [("dockerfile", &setting.dockerfile), ("context", &setting.build_context)] {
        if !text.is_empty() {
            rule.insert(key.to_owned(), text.as_str().into());
        }
    }
    if setting.autobuild == Some(false) {
        rule.insert("autobuild".to_owned(), false.into());
    }
    if setting.nocache == Some(true) {
        rule.insert("cache".to_owned(), false.into());
    }
    Ok(Value::Object(rule))
}

/// Returns what is to be done by hand.
fn notes(source: &Source) -> Vec<String> {
    let mut notes = vec!["set `secret` to the key of its webhook".to_owned()];
    if !source.envvars.is_empty() {
        let names: Vec<_> = source.envvars.iter().map(|variable| variable.name.as_str()).collect();
        let names = names.join(", ");
        notes.push(format!("variables for hooks and tests, here `env` or `secrets` of its rules: {names}"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use webhook::Configuration;

    const SOURCES: &str = r#"{ "meta": { "total_count": 1 }, "objects": [ {
        "image": "acme/app", "provider": "Github", "owner": "Acme", "repository": "app-source", "autotests": "SOURCE_ONLY",
        "repo_links": true, "envvars": [ { "name": "NPM_TOKEN", "value": "x" } ], "uuid": "u",
        "build_settings": [
            { "source_type": "Branch", "source_name": "master", "tag": "latest", "dockerfile": "/", "build_context": "/",
              "autobuild": true, "nocache": false },
            { "source_type": "Tag", "source_name": "/^v([0-9.]+)$/", "tag": "{\\1}, {sourceref}", "dockerfile": "deploy/Dockerfile",
              "build_context": "", "autobuild": false, "nocache": true }
        ] } ] }"#;

    fn found(texts: &[&str]) -> Found {
        let mut found = Found::default();
        texts.iter().for_each(|text| found.add(serde_json::from_str(text).unwrap()));
        found
    }

    #[test]
    fn settings_that_are_linked_come_from_other_answers() {
        let source = r#"{ "objects": [{ "image": "a/b", "provider": "Github", "owner": "a", "repository": "b",
            "build_settings": ["/api/build/v1/setting/u-1/", "/api/build/v1/setting/u-2/"] }] }"#;
        let one = r#"{ "uuid": "u-1", "source_type": "Branch", "source_name": "main", "tag": "latest" }"#;
        let two = r#"{ "resource_uri": "/api/build/v1/setting/u-2/", "source_type": "Tag", "source_name": "v1", "tag": "v1" }"#;
        let error = converted(&found(&[source, one]), "r").unwrap_err();
        assert!(error.contains("build_settings[1]: /api/build/v1/setting/u-2/ is a link"), "{error}");
        let entry = |text: &str| json!({ "response": { "content": { "text": text } } });
        let har = json!({ "log": { "entries": [entry("<html>"), entry(two), entry(source), entry(one)] } }).to_string();
        for files in [vec![source, one, two], vec![har.as_str()]] {
            let read: Value = toml::from_str(&converted(&found(&files), "r").unwrap()).unwrap();
            let rules = &read["repositories"][0]["rules"];
            assert_eq!((&rules[0]["branch"], &rules[1]["tag"]), (&json!("main"), &json!("v1")));
        }
    }

    #[test]
    fn names_stay_within_their_comments() {
        let text = SOURCES.replace("NPM_TOKEN", "X\\n[[tokens]]\\nname = 1");
        let written = converted(&found(&[&text]), "r").unwrap();
        assert!(written.lines().all(|line| !line.starts_with("[[tokens]]")), "{written}");
    }

    #[test]
    fn what_docker_hub_had_is_a_configuration() {
        let converted = |text: &str, registry| converted(&found(&[text]), registry);
        let text = converted(SOURCES, "registry.example.com").unwrap();
        assert!(text.contains("base_image_rebuild = true"), "{text}");
        Configuration::parse(&text, Path::new(".")).unwrap_or_else(|error| panic!("{error}: {text}"));
        let read: Value = toml::from_str(&text).unwrap();
        let one = &read["repositories"][0];
        assert_eq!(
            (&one["clone_url"], &one["image"]),
            (&"https://github.com/Acme/app-source.git".into(), &"registry.example.com/acme/app".into())
        );
        assert_eq!((&one["pull_requests"], &one["autotest"]), (&json!("own"), &json!("internal")));
        assert_eq!((&one["hub_hooks"], &one["shadow_of"]), (&json!(true), &json!("docker.io/acme/app")));
        let same: Value = toml::from_str(&converted(SOURCES, "docker.io").unwrap()).unwrap();
        assert_eq!(same["repositories"][0]["shadow_of"], Value::Null);
        for (word, expected) in [("SOURCE_AND_FORKS", json!("all")), ("OFF", Value::Null)] {
            let text = converted(&SOURCES.replace("SOURCE_ONLY", word), "r.example.com").unwrap();
            Configuration::parse(&text, Path::new(".")).unwrap_or_else(|error| panic!("{error}: {text}"));
            let read: Value = toml::from_str(&text).unwrap();
            assert_eq!(read["repositories"][0]["pull_requests"], expected);
        }
        assert_eq!(
            one["rules"],
            json!([
                { "branch": "master", "tags": ["latest"], "dockerfile": "/", "context": "/" },
                { "tag": "/^v([0-9.]+)$/", "tags": ["{\\1}", "{sourceref}"], "dockerfile": "deploy/Dockerfile",
                  "autobuild": false, "cache": false },
            ])
        );
        for note in ["NPM_TOKEN", "key of its webhook"] {
            assert!(text.lines().any(|line| line.starts_with("# acme/app") && line.contains(note)), "{note}: {text}");
        }
        assert!(!text.contains("\"x\""), "values of variables are not copied");
    }

    #[test]
    fn what_cannot_be_converted_is_named() {
        for (from, to, expected) in [
            ("Github", "Gitlab", "provider `gitlab`"),
            ("\"Branch\"", "\"Commit\"", "build_settings[0]: source_type `commit`"),
            ("\"image\"", "\"imgae\"", "missing field `image`"),
            ("SOURCE_ONLY", "FORKS", "autotests `FORKS`: OFF, SOURCE_ONLY or"),
        ] {
            let error = converted(&found(&[&SOURCES.replacen(from, to, 1)]), "r").unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
        assert!(converted(&found(&[r#"{"objects":[]}"#]), "r").unwrap_err().contains("no sources"));
    }
}
