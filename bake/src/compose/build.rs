//! The build of a service as a target.

use super::document;
use super::environment::with_dot_env;
use crate::Error;
use crate::blocks::{Definitions, check_name};
use crate::entries::{Entry, Secret, Ssh, parse_bool, without_double_texts};
use crate::functions::clean_path;
use crate::place::is_place;
use crate::target::{Group, Target};
use crate::yaml::{Content, Node};
use std::collections::BTreeMap;

/// Keys of a build without any effect here, and the only value that each may have.
const WITHOUT_EFFECT: [(&str, &str); 2] = [("isolation", "default"), ("privileged", "false")];

/// Adds the services of compose files to the definitions.
pub(crate) fn add(
    files: &[(&str, &str)],
    environment: &BTreeMap<String, String>,
    dot_env: Option<&str>,
    definitions: &mut Definitions,
) -> Result<(), Error> {
    let Some((file, _)) = files.first() else { return Ok(()) };
    let variables = with_dot_env(environment, dot_env)?;
    let document = document::read(files, &variables)?;
    let Some(services) = document.get("services") else {
        return Err(Error::new("the compose file has no `services`").at(file, None));
    };
    let project = Project { file, variables: &variables, secrets: document.get("secrets") };
    let mut names = Vec::new();
    for (name, service) in services.pairs() {
        let Some(build) = service.get("build") else { continue };
        let target = project.target(name, service, build).map_err(|error| error.at(file, Some(build.line)))?;
        names.push(target.name.clone());
        definitions.add_target(target);
    }
    names.sort();
    definitions.add_group(Group { name: "default".to_owned(), description: String::new(), targets: names });
    Ok(())
}

/// A compose file as far as builds need it.
struct Project<'p> {
    file: &'p str,
    variables: &'p BTreeMap<String, String>,
    secrets: Option<&'p Node>,
}

fn path(text: &str) -> String {
    if is_place(text) || text.is_empty() { text.to_owned() } else { clean_path(text) }
}

fn texts(node: &Node) -> Result<Vec<String>, Error> {
    match &node.content {
        Content::List(list) => {
            let text = |node: &Node| {
                node.scalar().ok_or_else(|| Error::new(format!("a text is expected, not {}", node.kind())))
            };
            list.iter().map(text).collect()
        }
        Content::Scalar { .. } => Ok(node.scalar().into_iter().collect()),
        _ => Err(Error::new(format!("a list is expected, not {}", node.kind()))),
    }
}

fn caches(node: &Node) -> Result<Vec<Entry>, Error> {
    let lists = texts(node)?.iter().map(|text| Entry::caches(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(lists.concat())
}

impl Project<'_> {
    fn target(&self, name: &str, service: &Node, build: &Node) -> Result<Target, Error> {
        // The name of a service may hold a dot, that of a target not.
        let name = name.replace('.', "_");
        check_name(&name)?;
        let mut target = Target { name, ..Target::default() };
        if !matches!(build.content, Content::Map(_)) {
            return Err(Error::new(format!("`build` is a directory or a mapping, not {}", build.kind())));
        }
        let environment = service.get("environment");
        for (key, node) in build.pairs().iter().filter(|(_, node)| node.content != Content::Null) {
            let within =
                |error: Error| error.within(&format!("`{key}` of `{}`", target.name)).at(self.file, Some(node.line));
            let mut set = target.clone();
            self.set(&mut set, key, node, environment).map_err(within)?;
            target = set;
        }
        if target.tags.is_none() {
            target.tags = service.get("image").and_then(Node::scalar).map(|image| vec![image]);
        }
        target.ssh.sort();
        if let Some(extension) = build.get("x-bake") {
            self.extension(&mut target, extension)?;
        }
        Ok(target)
    }

    fn set(&self, target: &mut Target, key: &str, node: &Node, environment: Option<&Node>) -> Result<(), Error> {
        let text = || node.scalar().ok_or_else(|| Error::new(format!("a text is expected, not {}", node.kind())));
        let truth = || text().and_then(|text| parse_bool(&text).ok_or_else(|| Error::new("true or false is expected")));
        match key {
            "context" => target.context = Some(path(&text()?)),
            "dockerfile" => target.dockerfile = Some(text()?),
            "dockerfile_inline" => target.dockerfile_inline = Some(text()?),
            "target" => target.target = Some(text()?),
            "network" => target.network = Some(text()?),
            "tags" => target.tags = Some(texts(node)?),
            "platforms" => target.platforms = Some(texts(node)?),
            "args" => target.args = self.arguments(node, environment),
            "labels" => {
                let pairs = node.pairs().iter();
                target.labels = pairs.map(|(key, value)| (key.clone(), value.scalar().unwrap_or_default())).collect();
            }
            "additional_contexts" => target.contexts = contexts(node),
            "cache_from" => target.cache_from = caches(node)?,
            "cache_to" => target.cache_to = Some(caches(node)?).filter(|list| !list.is_empty()),
            "no_cache" => target.no_cache = Some(truth()?).filter(|truth| *truth),
            "pull" => target.pull = Some(truth()?).filter(|truth| *truth),
            "no_cache_filter" => target.no_cache_filter = texts(node)?,
            "shm_size" => target.shm_size = Some(byte_size(&text()?)?),
            "ulimits" => target.ulimits = ulimits(node)?,
            "extra_hosts" => target.extra_hosts = hosts(node)?,
            "ssh" => target.ssh = agents(node)?,
            "secrets" => target.secrets = node.list().iter().map(|node| self.secret(node)).collect::<Result<_, _>>()?,
            "provenance" | "sbom" => {
                let text = text()?;
                let options = match parse_bool(&text) {
                    Some(made) => format!("type={key},disabled={}", !made),
                    None => format!("type={key},{text}"),
                };
                target.attest.push(Entry::attestation(&options)?);
            }
            "entitlements" => target.entitlements = texts(node)?,
            key if key.starts_with("x-") => {}
            key => match WITHOUT_EFFECT.iter().find(|(known, _)| *known == key) {
                Some((_, only)) if text()? == *only => {}
                Some((_, only)) => return Err(Error::new(format!("only `{only}` is possible here"))),
                None => return Err(Error::new("this is not known of a build")),
            },
        }
        Ok(())
    }

    /// Returns the arguments; one without a value is taken from the service's environment, or that of the command.
    fn arguments(&self, node: &Node, environment: Option<&Node>) -> BTreeMap<String, String> {
        let value = |name: &str, node: &Node| {
            let of_service = || environment?.get(name)?.scalar();
            node.scalar().or_else(of_service).or_else(|| self.variables.get(name).cloned())
        };
        node.pairs().iter().filter_map(|(name, node)| Some((name.clone(), value(name, node)?))).collect()
    }

    fn secret(&self, node: &Node) -> Result<Secret, Error> {
        let source = node.get("source").unwrap_or(node).scalar();
        let source = source.ok_or_else(|| Error::new("the name of a secret is expected"))?;
        let mut secret = Secret { id: source.clone(), ..Secret::default() };
        let Some(defined) = self.secrets.and_then(|secrets| secrets.get(&source)) else {
            return Err(Error::new(format!("the secret `{source}` is not among `secrets` of the file")));
        };
        if defined.get("external").and_then(Node::scalar).is_some_and(|text| text != "false") {
            return Err(Error::new(format!("the secret `{source}` is external: a file or a variable is needed")));
        }
        secret.file = defined.get("file").and_then(Node::scalar).map(|text| path(&text)).unwrap_or_default();
        secret.variable = defined.get("environment").and_then(Node::scalar).unwrap_or_default();
        Ok(secret)
    }

    /// Takes what stands under `x-bake`.
    fn extension(&self, target: &mut Target, extension: &Node) -> Result<(), Error> {
        for (key, node) in extension.pairs() {
            let within = |error: Error| error.within(&format!("`x-bake.{key}`")).at(self.file, Some(node.line));
            let list = match &node.content {
                Content::Scalar { text, .. } => text.split_whitespace().map(str::to_owned).collect(),
                Content::List(_) => texts(node).map_err(within)?,
                _ => Vec::new(),
            };
            extend(target, key, &list, node).map_err(within)?;
        }
        Ok(())
    }
}

fn extend(target: &mut Target, key: &str, list: &[String], node: &Node) -> Result<(), Error> {
    fn all<T>(list: &[String], read: impl Fn(&str) -> Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
        Ok(list.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
    let truth =
        || list.first().and_then(|text| parse_bool(text)).ok_or_else(|| Error::new("true or false is expected"));
    let grow = |own: &mut Option<Vec<String>>| {
        let own = own.get_or_insert_default();
        own.extend_from_slice(list);
        without_double_texts(own);
    };
    match key {
        "tags" => grow(&mut target.tags),
        "platforms" => grow(&mut target.platforms),
        "no-cache-filter" => target.no_cache_filter.extend_from_slice(list),
        "cache-from" => target.cache_from.extend(all(list, Entry::caches)?),
        "cache-to" => target.cache_to.get_or_insert_default().extend(all(list, Entry::caches)?),
        "output" => target.outputs.get_or_insert_default().extend(all(list, |text| Ok(vec![Entry::output(text)?]))?),
        "secret" => target.secrets.extend(all(list, |text| Ok(vec![Secret::parse(text)?]))?),
        "ssh" => {
            target.ssh.extend(list.iter().map(|text| Ssh::parse(text)));
            target.ssh.sort();
        }
        "pull" => target.pull = Some(truth()?),
        "no-cache" => target.no_cache = Some(truth()?),
        "contexts" => {
            for (name, place) in contexts(node) {
                target.contexts.entry(name).or_insert(place);
            }
        }
        _ => return Err(Error::new("this is not known of `x-bake`")),
    }
    Ok(())
}

fn contexts(node: &Node) -> BTreeMap<String, String> {
    let place = |text: String| match text.split_once(':') {
        Some(("service" | "target", name)) => format!("target:{}", name.replace('.', "_")),
        _ => path(&text),
    };
    node.pairs().iter().filter_map(|(name, node)| Some((name.clone(), place(node.scalar()?)))).collect()
}

fn agents(node: &Node) -> Result<Vec<Ssh>, Error> {
    match &node.content {
        Content::Map(pairs) => {
            let agent =
                |pair: &(String, Node)| Ssh { id: pair.0.clone(), paths: pair.1.scalar().into_iter().collect() };
            Ok(pairs.iter().map(agent).collect())
        }
        _ => Ok(texts(node)?.iter().map(|text| Ssh::parse(text)).collect()),
    }
}

fn hosts(node: &Node) -> Result<BTreeMap<String, String>, Error> {
    let mut hosts = BTreeMap::<String, Vec<String>>::new();
    if let Content::Map(pairs) = &node.content {
        for (name, node) in pairs {
            hosts.entry(name.clone()).or_default().extend(texts(node)?);
        }
    } else {
        for text in texts(node)? {
            let pair = text.split_once('=').or_else(|| text.split_once(':'));
            let (name, address) = pair.ok_or_else(|| Error::new(format!("`{text}`: NAME=ADDRESS is expected")))?;
            hosts.entry(name.to_owned()).or_default().push(address.to_owned());
        }
    }
    Ok(hosts.into_iter().map(|(name, addresses)| (name, addresses.join(","))).collect())
}

fn ulimits(node: &Node) -> Result<Vec<String>, Error> {
    let limit = |pair: &(String, Node)| {
        let part = |key: &str| pair.1.get(key).and_then(Node::scalar);
        let soft = pair.1.scalar().or_else(|| part("soft"));
        let hard = pair.1.scalar().or_else(|| part("hard"));
        match (soft, hard) {
            (Some(soft), Some(hard)) => Ok(format!("{}={soft}:{hard}", pair.0)),
            _ => Err(Error::new(format!("`{}`: a number, or soft and hard are expected", pair.0))),
        }
    };
    node.pairs().iter().map(limit).collect()
}

/// Returns a size as docker writes it: `128MiB`.
fn byte_size(text: &str) -> Result<String, Error> {
    let wrong = || Error::new(format!("`{text}` is not a size"));
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|char: char| char.is_ascii_alphabetic()).trim();
    let unit = lower[digits.len()..].trim().trim_end_matches('b').trim_end_matches('i');
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit).ok_or_else(wrong)?;
    let mut size = digits.parse::<f64>().map_err(|_| wrong())? * 1024_f64.powi(i32::try_from(power).unwrap_or(0));
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].iter();
    let mut unit = units.next().copied().unwrap_or("B");
    while size >= 1024.0 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1024.0, next);
    }
    // Four digits that count.
    let decimals = if size >= 1000.0 {
        0
    } else if size >= 100.0 {
        1
    } else if size >= 10.0 {
        2
    } else {
        3
    };
    let number = format!("{size:.decimals$}");
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    Ok(format!("{number}{unit}"))
}
