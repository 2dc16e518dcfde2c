//! Files and a request to the targets that are built.

use crate::Error;
use crate::blocks::{self, Definitions};
use crate::compose;
use crate::entries::Entry;
use crate::functions::clean_path;
use crate::json::parse_json;
use crate::module::Settings;
use crate::overrides::{Overrides, matching};
use crate::place::{is_place, is_remote};
use crate::syntax::{Body, parse_hcl};
use crate::target::{Group, Target};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the target or group that is built where none is named.
const DEFAULT: &str = "default";
/// The build argument that all targets get from the environment.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A file: a bake file in HCL or JSON, or a compose file.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name; how it ends tells what it is.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Files, and what is asked of them.
#[derive(Debug, Default)]
pub struct Request {
    /// The files in their order.
    pub files: Vec<File>,
    /// A file `.env` for compose files.
    pub dot_env: Option<String>,
    /// Targets, groups, or patterns; none is `default`.
    pub targets: Vec<String>,
    /// Values of `--set`.
    pub overrides: Vec<String>,
    /// Values from outside.
    pub settings: Settings,
}

/// The targets that are built, those included that others have as contexts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The groups that lead to them.
    pub groups: BTreeMap<String, Group>,
    /// The targets by name.
    pub targets: BTreeMap<String, Target>,
}

impl Resolved {
    /// Writes them as `docker buildx bake --print` does.
    pub fn print(&self) -> String {
        crate::print::print(&self.groups, &self.targets)
    }
}

/// Reads what files define.
pub fn define(request: &Request) -> Result<Definitions, Error> {
    let (mut composed, mut bodies) = (Vec::new(), Vec::new());
    for file in &request.files {
        match body(file)? {
            Some(body) => bodies.push(body),
            None => composed.push((file.name.as_str(), file.text.as_str())),
        }
    }
    let mut definitions = Definitions::default();
    let settings = &request.settings;
    compose::add(&composed, &settings.environment, request.dot_env.as_deref(), &mut definitions)?;
    blocks::add(&bodies, settings, &mut definitions)?;
    Ok(definitions)
}

/// Returns a file's attributes and blocks; `None` for a compose file.
fn body(file: &File) -> Result<Option<Body>, Error> {
    let (name, text) = (file.name.as_str(), file.text.as_str());
    let lower = name.to_ascii_lowercase();
    let ends = |ending: &str| lower.ends_with(ending);
    if ends(".yml") || ends(".yaml") {
        return Ok(None);
    }
    if ends(".json") {
        return parse_json(name, text).map(Some);
    }
    if ends(".hcl") {
        return parse_hcl(name, text).map(Some);
    }
    // Whatever it can be read as.
    if crate::yaml::parse(name, text).is_ok_and(|document| document.get("services").is_some()) {
        return Ok(None);
    }
    let hcl = parse_hcl(name, text);
    if hcl.is_err() && text.trim_start().starts_with('{') {
        return parse_json(name, text).map(Some);
    }
    hcl.map(Some)
}

/// Resolves a request.
pub fn resolve(request: &Request) -> Result<Resolved, Error> {
    let definitions = define(request)?;
    let asked = match request.targets.as_slice() {
        [] => vec![DEFAULT.to_owned()],
        targets => named(targets, &definitions)?,
    };
    let overrides = Overrides::parse(&request.overrides, &definitions, &request.settings.environment)?;
    let resolver = Resolver { definitions: &definitions, overrides: &overrides };
    let mut resolved = Resolved::default();
    for name in &asked {
        let (mut targets, mut groups) = (Vec::new(), Vec::new());
        resolver.expand(name, &mut BTreeSet::new(), &mut targets, &mut groups);
        for target in targets {
            if !resolved.targets.contains_key(&target) {
                resolved.targets.insert(target.clone(), resolver.target(&target)?);
            }
        }
        let known = groups.iter().filter_map(|name| definitions.group(name));
        resolved.groups.extend(known.map(|group| (group.name.clone(), group.clone())));
    }
    add_default_group(&asked, &mut resolved.groups);
    for name in resolved.targets.keys().cloned().collect::<Vec<_>>() {
        resolver.link(&name, &mut resolved.targets, &mut Vec::new())?;
    }
    let epoch = request.settings.environment.get(EPOCH).filter(|epoch| !epoch.is_empty());
    for (name, target) in &mut resolved.targets {
        if let Some(epoch) = epoch {
            target.args.entry(EPOCH.to_owned()).or_insert_with(|| epoch.clone());
        }
        settle_paths(target).map_err(|error| error.within(&format!("the target `{name}`")))?;
    }
    Ok(resolved)
}

/// Returns the names that were asked for, with patterns expanded.
fn named(targets: &[String], definitions: &Definitions) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    for target in targets {
        let target = target.replace('.', "_");
        let found = if target.contains(['*', '?', '[', ']']) {
            let groups = definitions.groups.iter().map(|group| group.name.as_str());
            matching(&target, groups.chain(definitions.targets.iter().map(|target| target.name.as_str())))?
        } else {
            vec![target]
        };
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// Gives what was asked for a group of its own.
fn add_default_group(asked: &[String], groups: &mut BTreeMap<String, Group>) {
    for name in asked {
        if name == DEFAULT && groups.contains_key(DEFAULT) {
            continue;
        }
        let group = groups.entry(DEFAULT.to_owned()).or_default();
        DEFAULT.clone_into(&mut group.name);
        group.targets.push(name.clone());
    }
    if let Some(group) = groups.get_mut(DEFAULT) {
        group.targets.sort();
        group.targets.dedup();
    }
}

/// Makes the path of the context a short one.
fn settle_paths(target: &mut Target) -> Result<(), Error> {
    let context = target.context.get_or_insert_with(|| ".".to_owned());
    if context == "-" || target.dockerfile.as_deref() == Some("-") {
        return Err(Error::new("neither the context nor the Dockerfile can be standard input"));
    }
    if let Some(path) = context.strip_prefix("cwd://") {
        *context = clean_path(path);
    } else if !is_remote(context) {
        *context = clean_path(context);
    }
    Ok(())
}

/// The files and the command line together.
struct Resolver<'r> {
    definitions: &'r Definitions,
    overrides: &'r Overrides,
}

impl Resolver<'_> {
    /// Collects the targets and groups that a name leads to.
    fn expand(&self, name: &str, visited: &mut BTreeSet<String>, targets: &mut Vec<String>, groups: &mut Vec<String>) {
        let Some(group) = self.definitions.group(name) else {
            targets.push(name.to_owned());
            return;
        };
        groups.push(name.to_owned());
        visited.insert(name.to_owned());
        for member in &group.targets {
            match visited.contains(member) {
                // A group may have the name of one of its targets.
                true if self.definitions.target(member).is_some() => targets.push(member.clone()),
                true => {}
                false => self.expand(member, visited, targets, groups),
            }
        }
    }

    /// Returns a target with all that it inherits and all that the command line says.
    fn target(&self, name: &str) -> Result<Target, Error> {
        let mut target = self.inherited(name, &mut BTreeMap::new())?;
        target.inherits.clear();
        if target.dockerfile.as_deref().is_none_or(str::is_empty) {
            target.dockerfile = Some("Dockerfile".to_owned());
        }
        Ok(target)
    }

    fn inherited(&self, name: &str, visited: &mut BTreeMap<String, Option<Target>>) -> Result<Target, Error> {
        if let Some(Some(target)) = visited.get(name) {
            return Ok(target.clone());
        }
        let Some(own) = self.definitions.target(name) else {
            let text = match self.definitions.group(name) {
                Some(_) => format!("`{name}` is a group, not a target"),
                None => format!("there is no target `{name}`{}", self.known()),
            };
            return Err(Error::new(text));
        };
        visited.insert(name.to_owned(), None);
        let mut target = Target::default();
        for parent in &own.inherits {
            // A target that is being resolved has nothing to give yet.
            if visited.get(parent) != Some(&None) {
                target.merge(&self.inherited(parent, visited)?);
            }
        }
        target.merge(own);
        name.clone_into(&mut target.name);
        self.overrides.apply(name, &mut target)?;
        target.normalize();
        visited.insert(name.to_owned(), Some(target.clone()));
        Ok(target)
    }

    fn known(&self) -> String {
        let names: Vec<&str> = self.definitions.targets.iter().map(|target| target.name.as_str()).collect();
        if names.is_empty() { String::new() } else { format!("; {} are known", names.join(", ")) }
    }

    /// Adds the targets that a target has as contexts.
    fn link(&self, name: &str, targets: &mut BTreeMap<String, Target>, via: &mut Vec<String>) -> Result<(), Error> {
        via.push(name.to_owned());
        let Some(target) = targets.get(name).cloned() else { return Ok(()) };
        for linked in target.contexts.values().filter_map(|place| place.strip_prefix("target:")) {
            if linked == name {
                return Err(Error::new(format!("the target `{linked}` has itself as a context")));
            }
            if via.iter().any(|earlier| earlier == linked) {
                return Err(Error::new(format!("the targets `{name}` and `{linked}` have each other as contexts")));
            }
            if !targets.contains_key(linked) {
                let mut only = self.target(linked)?;
                only.outputs = Some(vec![Entry { kind: "cacheonly".to_owned(), fields: BTreeMap::new() }]);
                only.linked = true;
                targets.insert(linked.to_owned(), only);
            }
            self.link(linked, targets, via)?;
            let Some(other) = targets.get(linked) else { continue };
            let platforms = |target: &Target| target.platforms.clone().unwrap_or_default();
            let (own, others) = (platforms(&target), platforms(other));
            if own.len() > 1 && others.len() > 1 && own.iter().any(|platform| !others.contains(platform)) {
                return Err(Error::new(format!(
                    "the target `{name}` for {} needs `{linked}`, which is for {} only",
                    own.join(", "),
                    others.join(", ")
                )));
            }
            let more = other.entitlements.clone();
            if let Some(target) = targets.get_mut(name) {
                let new = more.into_iter().filter(|right| !target.entitlements.contains(right)).collect::<Vec<_>>();
                target.entitlements.extend(new);
            }
        }
        via.pop();
        Ok(())
    }
}

/// Tells whether a context is a path of this machine.
pub fn is_path(place: &str) -> bool {
    !is_place(place)
}
