//! Entries of a target's lists that have fields: outputs, caches, attestations, secrets, ssh.

use crate::Error;
use crate::csv;
use crate::value::Value;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// A type with fields: an output, a cache or an attestation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its type.
    pub kind: String,
    /// The other fields.
    pub fields: BTreeMap<String, String>,
}

impl Entry {
    /// Reads an output: fields, a directory, or `-`.
    pub fn output(text: &str) -> Result<Entry, Error> {
        if text == "-" {
            return Ok(Entry { kind: "tar".to_owned(), fields: BTreeMap::from([("dest".to_owned(), "-".to_owned())]) });
        }
        let parts = csv::fields(text)?;
        if parts.len() == 1 && parts[0] == text && !text.starts_with("type=") {
            let fields = BTreeMap::from([("dest".to_owned(), text.to_owned())]);
            return Ok(Entry { kind: "local".to_owned(), fields });
        }
        Entry::of_fields(&parts, "output")
    }

    /// Reads a cache: fields, or the name of an image.
    pub fn caches(text: &str) -> Result<Vec<Entry>, Error> {
        let parts = csv::fields(text)?;
        if text.contains('=') {
            return Ok(vec![Entry::of_fields(&parts, "cache")?]);
        }
        let named = parts
            .into_iter()
            .filter(|name| !name.is_empty())
            .map(|name| Entry { kind: "registry".to_owned(), fields: BTreeMap::from([("ref".to_owned(), name)]) });
        Ok(named.collect())
    }

    /// Reads an attestation.
    pub fn attestation(text: &str) -> Result<Entry, Error> {
        let mut entry = Entry::of_fields(&csv::fields(text)?, "attestation")?;
        entry.settle_disabled()?;
        Ok(entry)
    }

    /// Reads an object with `type` and other fields.
    pub fn of_value(value: &Value, what: &str) -> Result<Entry, Error> {
        let mut fields = BTreeMap::new();
        for (name, value) in value.as_map()? {
            fields.insert(name.clone(), value.to_text().map_err(|error| error.within(&format!("`{name}`")))?);
        }
        let kind = fields.remove("type").filter(|kind| !kind.is_empty());
        let kind = kind.ok_or_else(|| Error::new(format!("the type is missing in {} of {what}", value.to_json())))?;
        if fields.get("dest").is_some_and(String::is_empty) {
            fields.remove("dest");
        }
        let mut entry = Entry { kind, fields };
        if what == "attest" {
            entry.settle_disabled()?;
        }
        Ok(entry)
    }

    fn of_fields(parts: &[String], what: &str) -> Result<Entry, Error> {
        let mut entry = Entry::default();
        for part in parts {
            let pair =
                part.split_once('=').ok_or_else(|| Error::new(format!("`{part}` of {what}: KEY=VALUE is expected")))?;
            let key = pair.0.trim().to_lowercase();
            match key.as_str() {
                "type" => pair.1.clone_into(&mut entry.kind),
                _ => drop(entry.fields.insert(key, pair.1.to_owned())),
            }
        }
        match entry.kind.is_empty() {
            true => Err(Error::new(format!("the type is missing in `{}` of {what}", parts.join(",")))),
            false => Ok(entry),
        }
    }

    /// Leaves `disabled` where it is true only.
    fn settle_disabled(&mut self) -> Result<(), Error> {
        let Some(text) = self.fields.get("disabled") else { return Ok(()) };
        if !parse_bool(text).ok_or_else(|| Error::new(format!("disabled=`{text}`: true or false is expected")))? {
            self.fields.remove("disabled");
        } else {
            self.fields.insert("disabled".to_owned(), "true".to_owned());
        }
        Ok(())
    }

    /// Returns it as JSON; `disabled` is a truth there.
    pub fn to_json(&self, is_attestation: bool) -> Json {
        let mut fields: BTreeMap<String, Json> =
            self.fields.iter().map(|(key, value)| (key.clone(), Json::String(value.clone()))).collect();
        if is_attestation && fields.contains_key("disabled") {
            fields.insert("disabled".to_owned(), Json::Bool(true));
        }
        fields.insert("type".to_owned(), Json::String(self.kind.clone()));
        Json::Object(fields.into_iter().collect())
    }

    /// Returns it as a flag of `build` takes it.
    pub fn to_flag(&self) -> String {
        let fields = self.fields.iter().map(|(key, value)| csv::field(key, value));
        std::iter::once(csv::field("type", &self.kind)).chain(fields).collect::<Vec<_>>().join(",")
    }
}

/// Reads a truth as Go does.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A secret: where its value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secret {
    /// Its name.
    pub id: String,
    /// A file.
    pub file: String,
    /// A variable of the environment.
    pub variable: String,
}

impl Secret {
    /// Reads `id=ID,src=FILE` or `id=ID,env=NAME`.
    pub fn parse(text: &str) -> Result<Secret, Error> {
        let (mut secret, mut kind) = (Secret::default(), String::new());
        for field in csv::fields(text)? {
            let pair = field.split_once('=');
            let (key, value) =
                pair.ok_or_else(|| Error::new(format!("`{field}` of a secret: KEY=VALUE is expected")))?;
            match key.to_lowercase().as_str() {
                "type" if value == "file" || value == "env" => value.clone_into(&mut kind),
                "type" => return Err(Error::new(format!("a secret of type `{value}`; file and env are known"))),
                "id" => value.clone_into(&mut secret.id),
                "src" | "source" => value.clone_into(&mut secret.file),
                "env" => value.clone_into(&mut secret.variable),
                other => return Err(Error::new(format!("`{other}` of a secret; id, src, env and type are known"))),
            }
        }
        if kind == "env" && secret.variable.is_empty() {
            secret.variable = std::mem::take(&mut secret.file);
        }
        Ok(secret)
    }

    /// Reads an object with `id`, `src` and `env`.
    pub fn of_value(value: &Value) -> Result<Secret, Error> {
        let mut secret = Secret::default();
        for (key, value) in value.as_map()?.iter().filter(|(_, value)| **value != Value::Null) {
            match key.as_str() {
                "id" => secret.id = value.to_text()?,
                "src" => secret.file = value.to_text()?,
                "env" => secret.variable = value.to_text()?,
                other => return Err(Error::new(format!("`{other}` of a secret; id, src and env are known"))),
            }
        }
        Ok(secret)
    }

    /// Returns it as JSON.
    pub fn to_json(&self) -> Json {
        let fields = [("id", &self.id), ("src", &self.file), ("env", &self.variable)];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        Json::Object(given.map(|(key, value)| (key.to_owned(), Json::String(value.clone()))).collect())
    }

    /// Returns it as a flag of `build` takes it.
    pub fn to_flag(&self) -> String {
        let fields = [("id", &self.id), ("src", &self.file), ("env", &self.variable)];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(key, value)| csv::field(key, value)).collect::<Vec<_>>().join(",")
    }
}

/// An ssh agent, or keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Ssh {
    /// Its name.
    pub id: String,
    /// A socket, or files of keys.
    pub paths: Vec<String>,
}

impl Ssh {
    /// Reads `ID` or `ID=PATH,…`.
    pub fn parse(text: &str) -> Ssh {
        match text.split_once('=') {
            Some((id, paths)) => Ssh { id: id.to_owned(), paths: paths.split(',').map(str::to_owned).collect() },
            None => Ssh { id: text.to_owned(), paths: Vec::new() },
        }
    }

    /// Reads an object with `id` and `paths`.
    pub fn of_value(value: &Value) -> Result<Ssh, Error> {
        let mut ssh = Ssh::default();
        for (key, value) in value.as_map()?.iter().filter(|(_, value)| **value != Value::Null) {
            match key.as_str() {
                "id" => ssh.id = value.to_text()?,
                "paths" => ssh.paths = value.as_list()?.iter().map(Value::to_text).collect::<Result<_, _>>()?,
                other => return Err(Error::new(format!("`{other}` of ssh; id and paths are known"))),
            }
        }
        Ok(ssh)
    }

    /// Returns it as JSON.
    pub fn to_json(&self) -> Json {
        let mut object = Map::new();
        if !self.id.is_empty() {
            object.insert("id".to_owned(), Json::String(self.id.clone()));
        }
        if !self.paths.is_empty() {
            object.insert("paths".to_owned(), Json::from(self.paths.clone()));
        }
        Json::Object(object)
    }

    /// Returns it as a flag of `build` takes it.
    pub fn to_flag(&self) -> String {
        match self.paths.is_empty() {
            true => self.id.clone(),
            false => format!("{}={}", self.id, self.paths.join(",")),
        }
    }
}

/// Leaves one of each name: the last, at the place of the first.
pub(crate) fn last_of_each<T>(list: &mut Vec<T>, name: fn(&T) -> &str) {
    let mut kept: Vec<T> = Vec::new();
    for entry in std::mem::take(list) {
        match kept.iter().position(|known| name(known) == name(&entry)) {
            Some(at) => kept[at] = entry,
            None => kept.push(entry),
        }
    }
    *list = kept;
}

/// Leaves one of those that are equal, in the order in which buildx leaves them.
pub(crate) fn without_doubles(list: &mut Vec<Entry>) {
    for at in (0..list.len().saturating_sub(1)).rev() {
        if let Some(double) = (at + 1..list.len()).find(|other| list[at] == list[*other]) {
            list.swap_remove(double);
        }
    }
}

/// Leaves each text once, and no empty one.
pub(crate) fn without_double_texts(list: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|text| !text.is_empty() && seen.insert(text.clone()));
}
