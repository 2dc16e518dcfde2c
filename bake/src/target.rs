//! A target: what its attributes say, how one inherits from another, and its JSON.

use crate::Error;
use crate::entries::{Entry, Secret, Ssh, last_of_each, without_double_texts, without_doubles};
use crate::value::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The attributes that a target may have.
pub(crate) const ATTRIBUTES: [&str; 32] = [
    "name",
    "matrix",
    "description",
    "inherits",
    "annotations",
    "attest",
    "context",
    "contexts",
    "dockerfile",
    "dockerfile-inline",
    "args",
    "labels",
    "tags",
    "cache-from",
    "cache-to",
    "target",
    "secret",
    "ssh",
    "platforms",
    "output",
    "pull",
    "no-cache",
    "network",
    "no-cache-filter",
    "shm-size",
    "ulimits",
    "resources",
    "call",
    "entitlements",
    "extra-hosts",
    "policy",
    "//",
];

/// Limits of steps, and whether each is a number.
const RESOURCES: [(&str, bool); 7] = [
    ("memory", false),
    ("memory-swap", false),
    ("cpu-shares", true),
    ("cpu-period", true),
    ("cpu-quota", true),
    ("cpuset-cpus", false),
    ("cpuset-mems", false),
];

/// A group: a name for several targets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Targets and groups.
    pub targets: Vec<String>,
}

/// A target. A list that is `None` was not set: it lets an inherited one stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Targets that it takes attributes from.
    pub inherits: Vec<String>,
    /// Notes on the image's manifest.
    pub annotations: Vec<String>,
    /// Attestations.
    pub attest: Vec<Entry>,
    /// The context.
    pub context: Option<String>,
    /// Contexts with names.
    pub contexts: BTreeMap<String, String>,
    /// The Dockerfile's path.
    pub dockerfile: Option<String>,
    /// The Dockerfile's text.
    pub dockerfile_inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Names of the image.
    pub tags: Option<Vec<String>>,
    /// Caches to read.
    pub cache_from: Vec<Entry>,
    /// Caches to write.
    pub cache_to: Option<Vec<Entry>>,
    /// The stage.
    pub target: Option<String>,
    /// Secrets.
    pub secrets: Vec<Secret>,
    /// Agents.
    pub ssh: Vec<Ssh>,
    /// Platforms.
    pub platforms: Option<Vec<String>>,
    /// Destinations.
    pub outputs: Option<Vec<Entry>>,
    /// Whether registries are asked for base images.
    pub pull: Option<bool>,
    /// Whether every step runs.
    pub no_cache: Option<bool>,
    /// The network of steps.
    pub network: Option<String>,
    /// Stages of which every step runs.
    pub no_cache_filter: Vec<String>,
    /// Size of /dev/shm.
    pub shm_size: Option<String>,
    /// Limits of processes.
    pub ulimits: Vec<String>,
    /// Limits of steps.
    pub resources: BTreeMap<String, String>,
    /// A question in place of a build.
    pub call: Option<String>,
    /// Rights that steps need.
    pub entitlements: Vec<String>,
    /// Hosts with names.
    pub extra_hosts: BTreeMap<String, String>,
    /// Whether it is built only because another target has it as a context.
    pub linked: bool,
}

fn text(value: &Value) -> Result<Option<String>, Error> {
    match value {
        Value::Null => Ok(None),
        value => value.to_text().map(Some),
    }
}

fn truth(value: &Value) -> Result<Option<bool>, Error> {
    match value {
        Value::Null => Ok(None),
        value => value.to_bool().map(Some),
    }
}

fn list(value: &Value) -> Result<Option<Vec<String>>, Error> {
    match value {
        Value::Null => Ok(None),
        value => value.as_list()?.iter().map(Value::to_text).collect::<Result<_, _>>().map(Some),
    }
}

/// Returns the pairs that have a value: null leaves an inherited one.
fn pairs(value: &Value) -> Result<BTreeMap<String, String>, Error> {
    let mut pairs = BTreeMap::new();
    if *value != Value::Null {
        for (key, value) in value.as_map()? {
            if let Some(value) = text(value).map_err(|error| error.within(&format!("`{key}`")))? {
                pairs.insert(key.clone(), value);
            }
        }
    }
    Ok(pairs)
}

/// Returns the entries of a list, each a text or an object; empty texts are left out.
fn entries<T>(
    value: &Value,
    of_text: impl Fn(&str) -> Result<Vec<T>, Error>,
    of_value: impl Fn(&Value) -> Result<T, Error>,
) -> Result<Option<Vec<T>>, Error> {
    if *value == Value::Null {
        return Ok(None);
    }
    let mut list = Vec::new();
    for entry in value.as_list()? {
        match entry {
            Value::Text(text) if text.is_empty() => {}
            Value::Text(text) => list.extend(of_text(text)?),
            other => list.push(of_value(other)?),
        }
    }
    Ok(Some(list))
}

impl Target {
    /// Sets an attribute.
    pub fn set(&mut self, attribute: &str, value: &Value) -> Result<(), Error> {
        let all_caches = |value: &Value| entries(value, Entry::caches, |value| Entry::of_value(value, "cache"));
        match attribute {
            "description" => self.description = text(value)?.unwrap_or_default(),
            "inherits" => self.inherits = list(value)?.unwrap_or_default(),
            "annotations" => self.annotations = list(value)?.unwrap_or_default(),
            "attest" => {
                let one = |text: &str| Entry::attestation(text).map(|entry| vec![entry]);
                self.attest = entries(value, one, |value| Entry::of_value(value, "attest"))?.unwrap_or_default();
            }
            "context" => self.context = text(value)?,
            "contexts" => self.contexts = pairs(value)?,
            "dockerfile" => self.dockerfile = text(value)?,
            "dockerfile-inline" => self.dockerfile_inline = text(value)?,
            "args" => self.args = pairs(value)?,
            "labels" => self.labels = pairs(value)?,
            "tags" => self.tags = list(value)?,
            "cache-from" => self.cache_from = all_caches(value)?.unwrap_or_default(),
            "cache-to" => self.cache_to = all_caches(value)?,
            "target" => self.target = text(value)?,
            "secret" => {
                let one = |text: &str| Secret::parse(text).map(|secret| vec![secret]);
                self.secrets = entries(value, one, Secret::of_value)?.unwrap_or_default();
            }
            "ssh" => self.ssh = entries(value, |text| Ok(vec![Ssh::parse(text)]), Ssh::of_value)?.unwrap_or_default(),
            "platforms" => self.platforms = list(value)?,
            "output" => {
                let one = |text: &str| Entry::output(text).map(|entry| vec![entry]);
                self.outputs = entries(value, one, |value| Entry::of_value(value, "output"))?;
            }
            "pull" => self.pull = truth(value)?,
            "no-cache" => self.no_cache = truth(value)?,
            "network" => self.network = text(value)?,
            "no-cache-filter" => self.no_cache_filter = list(value)?.unwrap_or_default(),
            "shm-size" => self.shm_size = text(value)?,
            "ulimits" => self.ulimits = list(value)?.unwrap_or_default(),
            "resources" => {
                for (key, value) in pairs(value)? {
                    self.set_resource(&key, value)?;
                }
            }
            "call" => self.call = text(value)?,
            "entitlements" => self.entitlements = list(value)?.unwrap_or_default(),
            "extra-hosts" => self.extra_hosts = pairs(value)?,
            "policy" => return Err(Error::new("slipway evaluates no policies of sources: remove it")),
            _ => {}
        }
        Ok(())
    }

    /// Returns a list of entries as expressions see it: objects.
    pub fn entries(&self, attribute: &str) -> Value {
        let all = |list: &[Entry]| list.iter().map(|entry| entry.to_json(false)).collect();
        let list: Vec<Json> = match attribute {
            "attest" => all(&self.attest),
            "cache-from" => all(&self.cache_from),
            "cache-to" => all(self.cache_to.as_deref().unwrap_or_default()),
            "output" => all(self.outputs.as_deref().unwrap_or_default()),
            "secret" => self.secrets.iter().map(Secret::to_json).collect(),
            _ => self.ssh.iter().map(Ssh::to_json).collect(),
        };
        Value::from_json(&Json::Array(list))
    }

    /// Sets a limit of steps.
    pub fn set_resource(&mut self, name: &str, value: String) -> Result<(), Error> {
        let Some((_, is_number)) = RESOURCES.iter().find(|(known, _)| *known == name) else {
            let known = RESOURCES.map(|(name, _)| name).join(", ");
            return Err(Error::new(format!("`{name}` of resources; {known} are known")));
        };
        if *is_number && value.parse::<i64>().is_err() {
            return Err(Error::new(format!("`{name}` of resources: a whole number is expected, not `{value}`")));
        }
        self.resources.insert(name.to_owned(), value);
        Ok(())
    }

    /// Returns the limits of steps as JSON, in buildx's order.
    pub fn resources_in_order(&self) -> impl Iterator<Item = (String, Json)> {
        RESOURCES.iter().filter_map(|(name, is_number)| {
            let value = self.resources.get(*name)?;
            let number = value.parse::<i64>().ok().filter(|_| *is_number);
            Some(((*name).to_owned(), number.map_or_else(|| Json::from(value.as_str()), Json::from)))
        })
    }

    /// Takes the attributes that `other` has set; some lists grow, others are replaced.
    pub fn merge(&mut self, other: &Target) {
        fn replace<T: Clone>(own: &mut Option<T>, other: &Option<T>) {
            if other.is_some() {
                own.clone_from(other);
            }
        }
        replace(&mut self.context, &other.context);
        replace(&mut self.dockerfile, &other.dockerfile);
        replace(&mut self.dockerfile_inline, &other.dockerfile_inline);
        replace(&mut self.tags, &other.tags);
        replace(&mut self.target, &other.target);
        replace(&mut self.call, &other.call);
        replace(&mut self.platforms, &other.platforms);
        replace(&mut self.cache_to, &other.cache_to);
        replace(&mut self.outputs, &other.outputs);
        replace(&mut self.pull, &other.pull);
        replace(&mut self.no_cache, &other.no_cache);
        replace(&mut self.network, &other.network);
        replace(&mut self.shm_size, &other.shm_size);
        let maps = [
            (&mut self.args, &other.args),
            (&mut self.contexts, &other.contexts),
            (&mut self.labels, &other.labels),
            (&mut self.resources, &other.resources),
            (&mut self.extra_hosts, &other.extra_hosts),
        ];
        for (own, other) in maps {
            own.extend(other.clone());
        }
        let lists = [
            (&mut self.annotations, &other.annotations),
            (&mut self.no_cache_filter, &other.no_cache_filter),
            (&mut self.ulimits, &other.ulimits),
            (&mut self.entitlements, &other.entitlements),
            (&mut self.inherits, &other.inherits),
        ];
        for (own, other) in lists {
            own.extend_from_slice(other);
        }
        self.attest.extend_from_slice(&other.attest);
        self.secrets.extend_from_slice(&other.secrets);
        self.ssh.extend_from_slice(&other.ssh);
        self.cache_from.extend_from_slice(&other.cache_from);
        self.settle_lists();
        if !other.description.is_empty() {
            self.description.clone_from(&other.description);
        }
    }

    fn settle_lists(&mut self) {
        last_of_each(&mut self.attest, |entry| &entry.kind);
        last_of_each(&mut self.secrets, |secret| &secret.id);
        last_of_each(&mut self.ssh, |ssh| &ssh.id);
        without_doubles(&mut self.cache_from);
    }

    /// Removes doubles, and contexts that were taken away.
    pub fn normalize(&mut self) {
        self.settle_lists();
        for list in [&mut self.annotations, &mut self.no_cache_filter, &mut self.ulimits] {
            without_double_texts(list);
        }
        for list in [&mut self.tags, &mut self.platforms].into_iter().flatten() {
            without_double_texts(list);
        }
        for list in [&mut self.cache_to, &mut self.outputs].into_iter().flatten() {
            without_doubles(list);
        }
        if self.network.as_deref() == Some("host") {
            self.entitlements.push("network.host".to_owned());
        }
        without_double_texts(&mut self.entitlements);
        self.contexts.retain(|_, place| !place.is_empty());
    }
}
