//! Several compose files as one document: what a later one says is added, or stands in place of it.

use super::interpolate::interpolate_node;
use crate::Error;
use crate::yaml::{self, Content, Node};
use std::collections::BTreeMap;

/// Keys whose lists of `NAME=VALUE` are mappings written otherwise.
const PAIRS: [&str; 4] = ["args", "labels", "environment", "additional_contexts"];

/// Reads the files as one document.
pub(crate) fn read(files: &[(&str, &str)], variables: &BTreeMap<String, String>) -> Result<Node, Error> {
    let mut whole: Option<Node> = None;
    for (name, text) in files {
        let mut document = yaml::parse(name, text)?;
        if !matches!(document.content, Content::Map(_)) {
            return Err(Error::new("a mapping with `services` is expected").at(name, Some(document.line)));
        }
        if let Some(include) = document.get("include") {
            let text = "`include` is not followed: name its files too, with -f";
            return Err(Error::new(text).at(name, Some(include.line)));
        }
        let is_read = |key: &str| matches!(key, "services" | "secrets" | "configs");
        if let Content::Map(pairs) = &mut document.content {
            pairs.retain(|(key, _)| is_read(key));
        }
        interpolate_node(&mut document, name, variables)?;
        canonical(&mut document);
        whole = Some(match whole {
            Some(earlier) => merged(earlier, document),
            None => document,
        });
    }
    let mut whole = whole.unwrap_or_else(|| Node::empty(1));
    extend_services(&mut whole, files.first().map_or("compose.yaml", |(name, _)| name))?;
    Ok(whole)
}

/// Writes short forms out, so that files can be merged.
fn canonical(document: &mut Node) {
    let Content::Map(pairs) = &mut document.content else { return };
    for service in pairs.iter_mut().filter(|(key, _)| key == "services").map(|(_, node)| node) {
        let Content::Map(services) = &mut service.content else { continue };
        for (_, service) in services {
            let Content::Map(keys) = &mut service.content else { continue };
            for (key, node) in keys.iter_mut() {
                if key == "build" && matches!(node.content, Content::Scalar { .. }) {
                    node.content = Content::Map(vec![("context".to_owned(), node.clone())]);
                }
                if let ("build", Content::Map(build)) = (key.as_str(), &mut node.content) {
                    build.iter_mut().for_each(|pair| pairs_of(&pair.0, &mut pair.1));
                }
                pairs_of(key, node);
            }
        }
    }
}

/// Makes a mapping of a list of `NAME=VALUE`.
fn pairs_of(key: &str, node: &mut Node) {
    let Content::List(list) = &node.content else { return };
    if !PAIRS.contains(&key) {
        return;
    }
    let pair = |entry: &Node| {
        let text = entry.scalar()?;
        Some(match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Node::text(entry.line, value)),
            None => (text, Node { line: entry.line, content: Content::Null }),
        })
    };
    node.content = Content::Map(list.iter().filter_map(pair).collect());
}

/// Returns what `later` says, over what `earlier` says: mappings are merged, lists joined, all else replaced.
fn merged(earlier: Node, later: Node) -> Node {
    let line = later.line;
    let content = match (earlier.content, later.content) {
        (Content::Map(mut pairs), Content::Map(more)) => {
            for (key, value) in more {
                match pairs.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => *known = merged(known.clone(), value),
                    None => pairs.push((key, value)),
                }
            }
            Content::Map(pairs)
        }
        (Content::List(mut list), Content::List(more)) => {
            let new = more.into_iter().filter(|node| !list.iter().any(|known| known.content == node.content));
            list.extend(new.collect::<Vec<_>>());
            Content::List(list)
        }
        (earlier, Content::Null) => earlier,
        (_, later) => later,
    };
    Node { line, content }
}

/// Gives services what those have that they extend.
fn extend_services(document: &mut Node, file: &str) -> Result<(), Error> {
    let Some(services) = document.get("services").cloned() else { return Ok(()) };
    let mut extended = Vec::new();
    for (name, _) in services.pairs() {
        extended.push((name.clone(), extended_service(&services, name, file, &mut Vec::new())?));
    }
    if let Content::Map(pairs) = &mut document.content {
        for (_, node) in pairs.iter_mut().filter(|(key, _)| key == "services") {
            node.content = Content::Map(extended.clone());
        }
    }
    Ok(())
}

fn extended_service(services: &Node, name: &str, file: &str, via: &mut Vec<String>) -> Result<Node, Error> {
    let found = services.pairs().iter().find(|(known, _)| known == name).map(|(_, service)| service.clone());
    let service = found.ok_or_else(|| Error::new(format!("there is no service `{name}`")).at(file, None))?;
    let Some(extends) = service.get("extends") else { return Ok(service) };
    let refuse = |text: String| Error::new(text).at(file, Some(extends.line));
    if extends.get("file").is_some() {
        return Err(refuse(format!("`{name}` extends a service of another file: name that file too, with -f")));
    }
    let Some(base) = extends.get("service").unwrap_or(extends).scalar() else {
        return Err(refuse(format!("`extends` of `{name}`: the name of a service is expected")));
    };
    via.push(name.to_owned());
    if via.contains(&base) {
        return Err(refuse(format!("the service `{base}` extends itself")));
    }
    let base = extended_service(services, &base, file, via)?;
    Ok(merged(base, service))
}
