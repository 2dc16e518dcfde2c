//! A repository as it is imported: its rules, and notes on what cannot be one.

use super::texts::comment;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The part of a repository that the command line says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Where commits are fetched from.
    pub clone_url: Option<String>,
    /// Where images go.
    pub image: Option<String>,
}

/// A repository.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// The file that it comes from.
    pub file: String,
    /// Where commits are fetched from.
    pub clone_url: String,
    /// Where images go.
    pub image: String,
    /// Its rules.
    pub rules: Vec<Value>,
    /// Other keys.
    pub others: Map<String, Value>,
    /// Lines, and what of them is to be done by hand.
    pub notes: Vec<(usize, String)>,
}

/// The part of a rule that says how the image is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Making {
    /// The context, from the root of the repository.
    pub context: Option<String>,
    /// The Dockerfile, from the root of the repository.
    pub dockerfile: Option<String>,
    /// The stage.
    pub target: Option<String>,
    /// Build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Platforms.
    pub platforms: Vec<String>,
    /// Whether every step runs.
    pub no_cache: bool,
    /// Changes that build something.
    pub paths: Vec<String>,
    /// Moments at which it is built.
    pub schedules: Vec<String>,
}

impl Making {
    /// Returns a rule: `kind` is `branch` or `tag`.
    pub(crate) fn rule(&self, kind: &str, source: &str, tags: &[String]) -> Value {
        let mut rule = Map::new();
        rule.insert(kind.to_owned(), source.into());
        rule.insert("tags".to_owned(), tags.into());
        let context = self.context.as_deref().map(inside).filter(|context| !context.is_empty());
        let file = self.dockerfile.as_deref().map(inside).filter(|file| !file.is_empty());
        // The path of a Dockerfile begins at the context, where a rule has one.
        let file = match (&context, file) {
            (Some(context), Some(file)) => Some(
                file.strip_prefix(&format!("{context}/"))
                    .map_or_else(|| format!("{}{file}", "../".repeat(context.split('/').count())), str::to_owned),
            ),
            (None, Some(file)) if file.contains('/') => {
                rule.insert("context".to_owned(), "/".into());
                Some(file)
            }
            (_, file) => file,
        };
        context.map(|context| rule.insert("context".to_owned(), context.into()));
        file.filter(|file| file != "Dockerfile").map(|file| rule.insert("dockerfile".to_owned(), file.into()));
        self.target.as_ref().map(|target| rule.insert("target".to_owned(), target.as_str().into()));
        let lists = [("platforms", &self.platforms), ("paths", &self.paths)];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            rule.insert(key.to_owned(), list.as_slice().into());
        }
        if !self.build_args.is_empty() {
            rule.insert("build_args".to_owned(), json!(self.build_args));
        }
        if self.no_cache {
            rule.insert("cache".to_owned(), false.into());
        }
        // A schedule needs one branch or tag.
        if !self.schedules.is_empty() && !source.starts_with('/') {
            rule.insert("schedules".to_owned(), self.schedules.as_slice().into());
        }
        Value::Object(rule)
    }
}

/// Returns the full name of an image: without a host it is one of Docker Hub.
fn with_host(image: &str) -> String {
    let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    match image.split_once('/') {
        Some((first, _)) if is_host(first) => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
        None => format!("docker.io/library/{image}"),
    }
}

/// Returns a rule that names its image, unless it does already.
fn with_image(mut rule: Value, image: &str) -> Value {
    if let Some(rule) = rule.as_object_mut() {
        rule.entry("image").or_insert_with(|| image.into());
    }
    rule
}

/// Returns a path from the root of the repository without the words for the root.
fn inside(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path == "." { String::new() } else { path.to_owned() }
}

/// Returns `owner/name` of the place that commits are fetched from.
fn forge_name(clone_url: &str) -> Option<String> {
    let path = match clone_url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => clone_url.split_once(':')?.1,
    };
    let path = path.trim_matches('/').trim_end_matches(".git");
    path.contains('/').then(|| path.to_owned())
}

impl Repository {
    /// Returns a repository without rules; what the file does not say, the command line must.
    pub(crate) fn new(
        file: &str,
        asked: &Asked,
        clone_url: Option<String>,
        image: Option<String>,
    ) -> Result<Self, String> {
        let missing = |what: &str, flag: &str| format!("reading `{file}`: it does not say {what}: add {flag}");
        let clone_url = asked.clone_url.clone().or(clone_url);
        let clone_url = clone_url.ok_or_else(|| missing("where commits are fetched from", "--clone-url URL"))?;
        let image = asked.image.clone().or(image);
        let image = image.ok_or_else(|| missing("where images go", "--image IMAGE"))?;
        Ok(Repository { file: file.to_owned(), clone_url, image: with_host(&image), ..Repository::default() })
    }

    /// Notes what is to be done by hand.
    pub(crate) fn note(&mut self, line: usize, text: impl Into<String>) {
        self.notes.push((line, text.into()));
    }

    /// Adds rules that do the same for another image.
    pub(crate) fn also_to(&mut self, image: &str) {
        let image = &with_host(image);
        let again: Vec<Value> = self.rules.iter().filter(|rule| rule.get("image").is_none()).cloned().collect();
        self.rules.extend(again.into_iter().map(|rule| with_image(rule, image)));
    }

    /// Adds the rules and notes to the repository that is fetched from the same place, or itself where there is none: one
    /// delivery is for one repository, whose rules name their images.
    pub(crate) fn join(self, repositories: &mut Vec<Repository>) {
        match repositories.iter_mut().find(|known| known.clone_url == self.clone_url) {
            Some(known) => {
                let is_same = known.image == self.image;
                let named = |rule: Value| if is_same { rule } else { with_image(rule, &self.image) };
                known.rules.extend(self.rules.into_iter().map(named));
                known.others.extend(self.others);
                known.notes.extend(self.notes);
            }
            None => repositories.push(self),
        }
    }

    /// Returns it in TOML, with the notes as comments before it.
    pub(crate) fn to_toml(&self) -> Result<String, String> {
        let forge_name = forge_name(&self.clone_url);
        let name = forge_name.clone().map(|name| name.to_lowercase());
        let name =
            name.ok_or_else(|| format!("`{}` does not end in OWNER/NAME: give another --clone-url", self.clone_url))?;
        let last_two = name.rsplitn(3, '/').take(2).collect::<Vec<_>>();
        let name = last_two.into_iter().rev().collect::<Vec<_>>().join("/");
        let mut document = json!({
            "name": name, "clone_url": self.clone_url, "forge_name": forge_name, "image": self.image, "rules": self.rules,
        });
        for (key, value) in &self.others {
            document[key] = value.clone();
        }
        let mut written = comment(&format!("{}: set `secret` to the key of its webhook", self.file));
        let mut notes = self.notes.clone();
        notes.sort_by_key(|(line, _)| *line);
        notes.dedup();
        for (line, text) in notes {
            let place = if line > 0 { format!("{}:{line}", self.file) } else { self.file.clone() };
            written.push_str(&comment(&format!("{place}: {text}")));
        }
        let document = json!({ "repositories": [document] });
        written.push_str(&toml::to_string_pretty(&document).map_err(|error| format!("writing TOML: {error}"))?);
        written.push('\n');
        Ok(written)
    }
}
