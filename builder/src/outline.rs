//! `--call=outline` and `--call=targets`: what a Dockerfile offers, in BuildKit's words, for people and for programs.

use crate::check::{self, Readable};
use crate::{Error, Request, Services};
use base64::Engine;
use dockerfile::Dockerfile;
use dockerfile::DockerfileText;
use dockerfile::plan::{self, Lines, Outline, OutlineMount, Scope};
use serde_json::{Map, Value, json};

/// An answer in both forms.
#[derive(Debug)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
}

/// Lists the stages of a Dockerfile.
pub fn targets(file: &DockerfileText) -> Result<Answer, Error> {
    let parsed = Dockerfile::parse(&file.text).map_err(plan::Error::from)?;
    let last = parsed.stages.len() - 1;
    let (mut rows, mut list) = (vec![vec!["TARGET".to_owned(), "DESCRIPTION".to_owned()]], Vec::new());
    for (index, stage) in parsed.stages.iter().enumerate() {
        let description = plan::description(&stage.comments, stage.name.as_deref());
        let name = stage.name.clone().unwrap_or_default();
        let shown = match (name.as_str(), index == last) {
            ("", true) => "(default)".to_owned(),
            (name, true) => format!("{name} (default)"),
            (name, false) => name.to_owned(),
        };
        rows.push(vec![shown, description.clone().unwrap_or_default()]);
        let mut target = Map::new();
        put(&mut target, "name", Some(name).filter(|name| !name.is_empty()));
        if index == last {
            target.insert("default".to_owned(), true.into());
        }
        put(&mut target, "description", description);
        put(&mut target, "base", Some(stage.base.clone()));
        put(&mut target, "platform", stage.platform.clone());
        target.insert("location".to_owned(), location((stage.span.first_line, stage.span.last_line)));
        list.push(Value::Object(target));
    }
    Ok(Answer { text: table(&rows), json: json!({"targets": list, "sources": [encoded(file)]}) })
}

/// Tells what the target of `request` takes: arguments, secrets, agents, caches.
pub fn outline(request: &Request, services: &Services) -> Result<Answer, Error> {
    let readable = Readable::new(request)?;
    let (planned, _) = check::plan_as_known(request, services, &readable, Scope::Target);
    let outline = planned?.outline(&readable.parsed, &readable.settings)?;
    Ok(Answer { text: text(&outline), json: document(&outline, &request.dockerfile) })
}

fn text(outline: &Outline) -> String {
    let mut head = vec![vec!["TARGET:".to_owned(), outline.name.clone().unwrap_or_else(|| "(default)".to_owned())]];
    head.extend(outline.description.iter().map(|text| vec!["DESCRIPTION:".to_owned(), text.clone()]));
    let mut tables = vec![head];
    let mut add = |title: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            let title = title.iter().map(|word| (*word).to_owned()).collect();
            tables.push(std::iter::once(title).chain(rows).collect());
        }
    };
    let arg = |arg: &plan::Argument| {
        vec![arg.name.clone(), arg.value.clone().unwrap_or_default(), arg.description.clone().unwrap_or_default()]
    };
    add(&["BUILD ARG", "VALUE", "DESCRIPTION"], outline.args.iter().map(arg).collect());
    let wanted = |wanted: &OutlineMount| {
        vec![wanted.name.clone(), if wanted.required { "true".to_owned() } else { String::new() }]
    };
    add(&["SECRET", "REQUIRED"], outline.secrets.iter().map(wanted).collect());
    add(&["SSH", "REQUIRED"], outline.ssh.iter().map(wanted).collect());
    add(&["CACHE MOUNT"], outline.caches.iter().map(|(name, _)| vec![name.clone()]).collect());
    tables.iter().map(|rows| table(rows)).collect::<Vec<_>>().join("\n")
}

fn document(outline: &Outline, file: &DockerfileText) -> Value {
    let mut found = Map::new();
    put(&mut found, "name", outline.name.clone());
    put(&mut found, "description", outline.description.clone());
    let args = outline.args.iter().map(|arg| {
        let mut one = Map::new();
        put(&mut one, "name", Some(arg.name.clone()));
        put(&mut one, "description", arg.description.clone());
        put(&mut one, "value", arg.value.clone());
        one.insert("location".to_owned(), location(arg.lines));
        Value::Object(one)
    });
    list(&mut found, "args", args.collect());
    let wanted = |list: &[OutlineMount]| {
        let one = |wanted: &OutlineMount| {
            let mut one = Map::new();
            put(&mut one, "name", Some(wanted.name.clone()));
            if wanted.required {
                one.insert("required".to_owned(), true.into());
            }
            one.insert("location".to_owned(), location(wanted.lines));
            Value::Object(one)
        };
        list.iter().map(one).collect::<Vec<_>>()
    };
    list(&mut found, "secrets", wanted(&outline.secrets));
    list(&mut found, "ssh", wanted(&outline.ssh));
    let caches = outline.caches.iter().map(|(name, lines)| json!({"ID": name, "location": location(*lines)}));
    list(&mut found, "cache", caches.collect());
    list(&mut found, "sources", vec![encoded(file)]);
    Value::Object(found)
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<String>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

fn list(map: &mut Map<String, Value>, key: &str, values: Vec<Value>) {
    if !values.is_empty() {
        map.insert(key.to_owned(), values.into());
    }
}

fn location(lines: Lines) -> Value {
    let (first, last) = lines;
    json!({"ranges": [{"start": {"line": first}, "end": {"line": last}}]})
}

fn encoded(file: &DockerfileText) -> Value {
    base64::engine::general_purpose::STANDARD.encode(&file.text).into()
}

/// Returns rows with columns of one width, three spaces apart.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
        text.push('\n');
    }
    text
}
