//! `--set TARGET.KEY=VALUE`: what the command line says of targets in place of the files.

use crate::Error;
use crate::blocks::Definitions;
use crate::entries::{Entry, Secret, Ssh, parse_bool};
use crate::target::Target;
use regex::Regex;
use std::collections::BTreeMap;

/// Keys that may be given several times, and grow with `+=`.
const LISTS: [&str; 13] = [
    "output",
    "cache-to",
    "cache-from",
    "tags",
    "platform",
    "secrets",
    "ssh",
    "attest",
    "entitlements",
    "annotations",
    "no-cache-filter",
    "ulimits",
    "policy",
];
/// Keys that go with a name: `args.NAME`.
const NAMED: [&str; 6] = ["args", "labels", "contexts", "resources", "secret", "extra-hosts"];
/// Keys that look at the outputs, and so come after them.
const LATE: [&str; 2] = ["push", "load"];

/// One key of a target, with all values that it was given.
#[derive(Debug, Clone, Default)]
struct Override {
    values: Vec<String>,
    grows: bool,
}

/// The overrides of each target.
#[derive(Debug, Default)]
pub(crate) struct Overrides(BTreeMap<String, BTreeMap<String, Override>>);

/// Returns the names that fit a pattern with `*`, `?` and `[…]`.
pub(crate) fn matching<'n>(pattern: &str, names: impl Iterator<Item = &'n str>) -> Result<Vec<String>, Error> {
    let none = || Error::new(format!("no target fits `{pattern}`"));
    let mut expression = String::from("^");
    let mut in_class = false;
    for char in pattern.chars() {
        match char {
            '*' if !in_class => expression.push_str(".*"),
            '?' if !in_class => expression.push('.'),
            '[' | ']' => {
                in_class = char == '[';
                expression.push(char);
            }
            '^' | '-' if in_class => expression.push(char),
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression.push('$');
    let expression =
        Regex::new(&expression).map_err(|_| Error::new(format!("`{pattern}` is not a pattern of names")))?;
    let found: Vec<String> = names.filter(|name| expression.is_match(name)).map(str::to_owned).collect();
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

impl Overrides {
    /// Reads the values of `--set`.
    pub(crate) fn parse(
        texts: &[String],
        definitions: &Definitions,
        environment: &BTreeMap<String, String>,
    ) -> Result<Overrides, Error> {
        let mut overrides = Overrides::default();
        for text in texts {
            overrides.add(text, definitions, environment).map_err(|error| error.within(&format!("--set {text}")))?;
        }
        Ok(overrides)
    }

    fn add(
        &mut self,
        text: &str,
        definitions: &Definitions,
        environment: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let (path, value) = text.split_once('=').map_or((text, None), |(path, value)| (path, Some(value)));
        let (path, grows) = path.strip_suffix('+').map_or((path, false), |path| (path, true));
        let (pattern, key) = path.split_once('.').ok_or_else(|| Error::new("TARGET.KEY=VALUE is expected"))?;
        let (word, name) = key.split_once('.').map_or((key, None), |(word, name)| (word, Some(name)));
        if NAMED.contains(&word) != name.is_some() {
            let wanted = if name.is_some() { "goes without a name" } else { "needs a name" };
            return Err(Error::new(format!("`{word}` {wanted}")));
        }
        if grows && !LISTS.contains(&word) {
            return Err(Error::new(format!("`{word}` does not grow with +=")));
        }
        let value = match (value, word, name) {
            (Some(value), ..) => value.to_owned(),
            // An argument without a value is taken from the environment, if it is there.
            (None, "args", Some(name)) => match environment.get(name) {
                Some(value) => value.clone(),
                None => return Ok(()),
            },
            _ => return Err(Error::new("TARGET.KEY=VALUE is expected")),
        };
        let names = || definitions.targets.iter().map(|target| target.name.as_str());
        let targets = match definitions.target(pattern) {
            Some(target) => vec![target.name.clone()],
            None => matching(pattern, names())?,
        };
        for target in targets {
            let known = self.0.entry(target).or_default().entry(key.to_owned()).or_default();
            known.grows |= grows;
            if !LISTS.contains(&word) {
                known.values.clear();
            }
            known.values.push(value.clone());
        }
        Ok(())
    }

    /// Changes a target as it was asked for.
    pub(crate) fn apply(&self, name: &str, target: &mut Target) -> Result<(), Error> {
        let Some(overrides) = self.0.get(name) else { return Ok(()) };
        let (late, early): (Vec<_>, Vec<_>) = overrides.iter().partition(|(key, _)| LATE.contains(&key.as_str()));
        for (key, value) in early.into_iter().chain(late) {
            value.apply(key, target).map_err(|error| error.within(&format!("--set {name}.{key}")))?;
        }
        Ok(())
    }
}

impl Override {
    fn apply(&self, key: &str, target: &mut Target) -> Result<(), Error> {
        let (word, name) = key.split_once('.').map_or((key, ""), |(word, name)| (word, name));
        let value = self.values.last().cloned().unwrap_or_default();
        let truth =
            || parse_bool(&value).ok_or_else(|| Error::new(format!("true or false is expected, not `{value}`")));
        match word {
            "context" => target.context = Some(value),
            "dockerfile" => target.dockerfile = Some(value),
            "target" => target.target = Some(value),
            "call" => target.call = Some(value),
            "network" => target.network = Some(value),
            "shm-size" => target.shm_size = Some(value),
            "args" => drop(target.args.insert(name.to_owned(), value)),
            "labels" => drop(target.labels.insert(name.to_owned(), value)),
            "contexts" => drop(target.contexts.insert(name.to_owned(), value)),
            "extra-hosts" => drop(target.extra_hosts.insert(name.to_owned(), value)),
            "resources" => target.set_resource(name, value)?,
            "secret" => secret(target, name, &value)?,
            "tags" => self.texts(target.tags.get_or_insert_default()),
            "platform" => self.texts(target.platforms.get_or_insert_default()),
            "no-cache-filter" => self.texts(&mut target.no_cache_filter),
            "ulimits" => self.texts(&mut target.ulimits),
            "annotations" => target.annotations.extend_from_slice(&self.values),
            "entitlements" => target.entitlements.extend_from_slice(&self.values),
            "cache-from" => self.list(&mut target.cache_from, Entry::caches)?,
            "cache-to" => self.list(target.cache_to.get_or_insert_default(), Entry::caches)?,
            "output" => self.list(target.outputs.get_or_insert_default(), |text| Ok(vec![Entry::output(text)?]))?,
            "secrets" => self.list(&mut target.secrets, |text| Ok(vec![Secret::parse(text)?]))?,
            "ssh" => self.list(&mut target.ssh, |text| Ok(vec![Ssh::parse(text)]))?,
            "attest" => {
                let more = Override { values: self.values.clone(), grows: true };
                more.list(&mut target.attest, |text| Ok(vec![Entry::attestation(text)?]))?;
            }
            "no-cache" => target.no_cache = Some(truth()?),
            "pull" => target.pull = Some(truth()?),
            "push" => push(target, truth()?),
            "load" if truth()? => load(target),
            "load" => {}
            "policy" => return Err(Error::new("slipway evaluates no policies of sources")),
            other => return Err(Error::new(format!("unknown key `{other}`"))),
        }
        Ok(())
    }

    fn texts(&self, list: &mut Vec<String>) {
        if !self.grows {
            list.clear();
        }
        list.extend_from_slice(&self.values);
    }

    fn list<T>(&self, list: &mut Vec<T>, read: impl Fn(&str) -> Result<Vec<T>, Error>) -> Result<(), Error> {
        if !self.grows {
            list.clear();
        }
        for value in self.values.iter().filter(|value| !value.is_empty()) {
            list.extend(read(value)?);
        }
        Ok(())
    }
}

/// Lets a secret come from elsewhere.
fn secret(target: &mut Target, id: &str, value: &str) -> Result<(), Error> {
    let Some(known) = target.secrets.iter_mut().find(|secret| secret.id == id) else {
        return Err(Error::new(format!("the target has no secret `{id}`")));
    };
    let given = Secret::parse(value)?;
    if !given.id.is_empty() && given.id != id {
        return Err(Error::new(format!("the id `{}` is not `{id}`", given.id)));
    }
    (known.file, known.variable) = (given.file, given.variable);
    Ok(())
}

fn with(kind: &str, fields: &[(&str, &str)]) -> Entry {
    let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Entry { kind: kind.to_owned(), fields }
}

/// Lets images be pushed, or not; an output that is not an image stays what it is.
fn push(target: &mut Target, pushes: bool) {
    let outputs = target.outputs.get_or_insert_default();
    if !pushes {
        outputs.retain(|output| output.kind != "registry");
    }
    for output in outputs.iter_mut().filter(|output| output.kind == "image") {
        output.fields.insert("push".to_owned(), pushes.to_string());
    }
    if pushes && outputs.iter().all(|output| output.kind == "docker") {
        outputs.push(with("image", &[("push", "true")]));
    }
}

/// Lets images be kept here; an output of files stays what it is.
fn load(target: &mut Target) {
    let outputs = target.outputs.get_or_insert_default();
    let is_kept = |output: &Entry| output.kind == "docker" && !output.fields.contains_key("dest");
    let is_image = |output: &Entry| matches!(output.kind.as_str(), "docker" | "image" | "registry" | "oci");
    if outputs.iter().all(is_image) && !outputs.iter().any(is_kept) {
        outputs.push(with("docker", &[]));
    }
}
