//! `slipway repo import`: the settings of Docker Hub's Automated Builds, as its web page loads them, become repositories.
//!
//! The page asks for `/api/build/v1/source/?image=<namespace>/<repository>`; a browser's network tools show and save the
//! answer. What Docker Hub had and slipway has not is named in comments.

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `slipway repo import`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The answer of Docker Hub's /api/build/v1/source/?image=…, saved as JSON; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Registry that the images go to, in the same repositories
    #[arg(long, value_name = "HOST", default_value = "docker.io")]
    registry: String,
}

/// Prints the repositories as they stand in slipway.toml.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let text = read(&arguments.file)?;
    let failed = |problem: String| format!("reading `{}`: {problem}", arguments.file.display());
    print!("{}", converted(&text, &arguments.registry).map_err(failed)?);
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(file).map(|content| text = content),
    };
    read.map_err(|error| format!("reading `{}`: {error}", file.display()))?;
    Ok(text)
}

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

/// Returns the repositories in TOML.
fn converted(text: &str, registry: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let objects = match &value {
        Value::Array(objects) => objects.clone(),
        Value::Object(object) => match object.get("objects").and_then(Value::as_array) {
            Some(objects) => objects.clone(),
            None => vec![value.clone()],
        },
        _ => return Err("the answer of /api/build/v1/source/ is expected".to_owned()),
    };
    let mut written = String::new();
    for object in objects {
        let source: Source = serde_json::from_value(object)
            .map_err(|error| format!("{error}: the answer of /api/build/v1/source/ is expected"))?;
        let document = json!({ "repositories": [document(&source, registry)?] });
        written.extend(notes(&source).iter().map(|note| format!("# {}: {note}\n", source.image)));
        written.push_str(&toml::to_string_pretty(&document).map_err(|error| format!("writing TOML: {error}"))?);
        written.push('\n');
    }
    if written.is_empty() { Err("it holds no sources: `objects` is empty".to_owned()) } else { Ok(written) }
}

fn document(source: &Source, registry: &str) -> Result<Value, String> {
    let host = match source.provider.to_ascii_lowercase().as_str() {
        "github" => "github.com",
        "bitbucket" => "bitbucket.org",
        other => return Err(format!("{}: provider `{other}`: Github or Bitbucket is expected", source.image)),
    };
    let place = format!("{}/{}", source.owner, source.repository);
    let rules = source.build_settings.iter().enumerate().map(|(number, setting)| {
        let in_place = |problem: String| format!("{}: build_settings[{number}]: {problem}", source.image);
        if setting.is_string() {
            return Err(in_place(format!("{setting} is a link: put what Docker Hub answers there in its place")));
        }
        let setting = Setting::deserialize(setting).map_err(|error| in_place(error.to_string()))?;
        rule(&setting).map_err(in_place)
    });
    let mut document = json!({
        "name": source.image, "clone_url": format!("https://{host}/{place}.git"), "forge_name": place,
        "image": format!("{registry}/{}", source.image), "rules": rules.collect::<Result<Vec<_>, _>>()?,
    });
    match source.autotests.as_deref() {
        None | Some("OFF") => {}
        Some("SOURCE_ONLY") => document["pull_requests"] = "own".into(),
        Some("SOURCE_AND_FORKS") => document["pull_requests"] = "all".into(),
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
        notes.push(format!("variables for hooks, here `build_args` or secrets of its rules: {names}"));
    }
    if source.autotests.as_deref().is_some_and(|tests| tests != "OFF") {
        notes.push(
            "autotests: pull requests are built and not pushed; for the tests, a stage of the Dockerfile that the image \
             copies from does what docker-compose.test.yml did"
                .to_owned(),
        );
    }
    if source.repo_links == Some(true) {
        notes.push("\"Enable for Base Image\": `schedules` of a rule build it from time to time".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn what_docker_hub_had_is_a_configuration() {
        let text = converted(SOURCES, "registry.example.com").unwrap();
        Configuration::parse(&text, Path::new(".")).unwrap_or_else(|error| panic!("{error}: {text}"));
        let read: Value = toml::from_str(&text).unwrap();
        let one = &read["repositories"][0];
        assert_eq!(
            (&one["clone_url"], &one["image"]),
            (&"https://github.com/Acme/app-source.git".into(), &"registry.example.com/acme/app".into())
        );
        assert_eq!(one["pull_requests"], "own");
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
        for note in ["NPM_TOKEN", "autotests", "Base Image", "key of its webhook"] {
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
            ("{ \"meta\"", "[ \"meta\"", "no JSON"),
        ] {
            let error = converted(&SOURCES.replacen(from, to, 1), "r").unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
        let links = r#"[{ "image": "a/b", "provider": "Github", "owner": "a", "repository": "b", "build_settings": ["/api/x/"] }]"#;
        assert!(converted(links, "r").unwrap_err().contains("is a link"));
        assert!(converted(r#"{"objects":[]}"#, "r").unwrap_err().contains("no sources"));
    }
}
