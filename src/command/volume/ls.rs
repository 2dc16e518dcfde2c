//! `slipway volume ls` and `slipway volume inspect`.

use crate::hand::{Failure, Format, Hand, told};
use clap::Args;
use container::{Containers, Error, Template, Volume};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway volume ls`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only volumes for which this holds: name=, label=, dangling=, driver=
    #[arg(short, long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
    /// How to print: table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show only names
    #[arg(short, long)]
    quiet: bool,
}

/// Arguments of `slipway volume inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Names of volumes
    #[arg(required = true)]
    volumes: Vec<String>,
    /// How to print: json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

const COLUMNS: [(&str, &str); 2] = [("Driver", "DRIVER"), ("Name", "VOLUME NAME")];
const HEADINGS: [(&str, &str); 4] =
    [("Labels", "LABELS"), ("Mountpoint", "MOUNTPOINT"), ("Scope", "SCOPE"), ("Links", "LINKS")];

/// Runs `slipway volume ls`.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let format = Format::parse(arguments.format.as_deref())?;
        let hand = Hand::open(data_dir)?;
        let containers = hand.containers()?;
        let used = used(&containers)?;
        let mut found = containers.volumes()?.list()?;
        for filter in &arguments.filters {
            let matches = matcher(filter, &used)?;
            found.retain(|volume| matches(volume));
        }
        let rows: Vec<Value> = found.iter().map(|volume| row(volume, &hand)).collect();
        match arguments.quiet {
            true => found.iter().for_each(|volume| println!("{}", volume.name)),
            false => format.print(&COLUMNS, &HEADINGS, &rows)?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns the names of the volumes that containers have.
pub(crate) fn used(containers: &Containers) -> Result<HashSet<String>, Failure> {
    let all = containers.list()?.into_iter().flat_map(|container| container.record.volumes);
    Ok(all.map(|mount| mount.volume).collect())
}

/// Tells whether a volume passes a filter.
type Matcher<'t> = Box<dyn Fn(&Volume) -> bool + 't>;

fn matcher<'t>(text: &'t str, used: &'t HashSet<String>) -> Result<Matcher<'t>, Failure> {
    let wrong = || Failure::from(Error::Invalid(format!("invalid filter '{text}'")));
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    Ok(match name {
        "name" => Box::new(move |volume| volume.name.contains(value)),
        "driver" => Box::new(move |_| value == "local"),
        "label" => Box::new(move |volume| has_label(volume, value)),
        "dangling" => {
            let wanted = match value {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return Err(Error::Invalid(format!("invalid filter 'dangling={value}'")).into()),
            };
            Box::new(move |volume| used.contains(&volume.name) != wanted)
        }
        _ => return Err(wrong()),
    })
}

/// Tells whether a volume has the label `KEY` or `KEY=VALUE`.
pub(crate) fn has_label(volume: &Volume, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => volume.labels.get(key).is_some_and(|found| found == value),
        None => volume.labels.contains_key(wanted),
    }
}

fn row(volume: &Volume, hand: &Hand) -> Value {
    let labels: Vec<String> = volume.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    json!({
        "Availability": "N/A",
        "Driver": "local",
        "Group": "N/A",
        "Labels": labels.join(","),
        "Links": "N/A",
        "Mountpoint": place(volume, hand),
        "Name": volume.name,
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
    })
}

fn place(volume: &Volume, hand: &Hand) -> String {
    hand.data.join("sandbox/state/v").join(&volume.name).display().to_string()
}

/// Runs `slipway volume inspect`.
pub(crate) fn inspect(arguments: &Inspect, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let template = match arguments.format.as_deref() {
            None | Some("" | "json") => None,
            Some(text) => Some(Template::parse(text)?),
        };
        let hand = Hand::open(data_dir)?;
        let volumes = hand.containers()?.volumes()?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in &arguments.volumes {
            match volumes.find(name) {
                Ok(volume) => found.push(document(&volume, &hand)),
                Err(error) => missing.push(Failure::from(error)),
            }
        }
        match template {
            Some(template) => {
                for document in &found {
                    println!("{}", template.render(document)?);
                }
            }
            None if arguments.format.as_deref() == Some("json") => println!("{}", Value::from(found)),
            None => println!("{}", container::indented(&found, "    ").unwrap_or_default()),
        }
        Ok(missing.iter().map(Failure::tell).next_back().unwrap_or(ExitCode::SUCCESS))
    })
}

fn document(volume: &Volume, hand: &Hand) -> Value {
    json!({
        "CreatedAt": volume.created,
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": place(volume, hand),
        "Name": volume.name,
        "Options": null,
        "Scope": "local",
    })
}
