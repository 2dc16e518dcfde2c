//! `slipway bake`: the targets of bake files and compose files, each built as `slipway build` builds.

mod files;
mod flags;
mod schedule;
mod targets;

use super::build::{self, registries, report};
use crate::progress::Style;
use bake::{Definitions, Resolved};
use clap::Args;
use schedule::Bakery;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use targets::Planned;

/// Arguments of `slipway bake`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A bake file (HCL or JSON) or a compose file; several are merged; `-` reads standard input
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<String>,
    /// Print the resolved targets as JSON and build nothing
    #[arg(long)]
    print: bool,
    /// List what the files define and build nothing
    #[arg(long, value_name = "targets", value_parser = ["targets", "type=targets"], conflicts_with = "print")]
    list: Option<String>,
    /// Replace a value of targets
    #[arg(long = "set", value_name = "TARGET.KEY=VALUE")]
    overrides: Vec<String>,
    /// Set a variable of the files
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// Push the images to where their names say
    #[arg(long)]
    push: bool,
    /// Keep the images in the store under their names, also those that go elsewhere
    #[arg(long)]
    load: bool,
    /// Run every step, whatever is known
    #[arg(long)]
    no_cache: bool,
    /// Ask the registries for base images, also for those that were built here
    #[arg(long)]
    pull: bool,
    /// Answer a question about each target and build nothing: check, outline or targets
    #[arg(long, value_name = "METHOD", default_value = "build")]
    call: String,
    /// Check the Dockerfiles and build nothing
    #[arg(long)]
    check: bool,
    /// Provenance of the images; slipway makes none, and says so
    #[arg(long, value_name = "WHAT")]
    provenance: Option<String>,
    /// Lists of what is in the images; slipway makes none, and says so
    #[arg(long, value_name = "WHAT")]
    sbom: Option<String>,
    /// Write what is known of the images to a file
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Speak to a registry otherwise than docker does by default
    #[arg(long = "registry", value_name = "HOST=plain-http|tls|insecure|ca=FILE")]
    registries: Vec<String>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Style::Auto)]
    progress: Style,
    /// Targets, groups or patterns of their names [default: default]
    targets: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    let request = files::request(arguments)?;
    if arguments.list.is_some() {
        print!("{}", listed(&bake::define(&request).map_err(|error| error.to_string())?));
        return Ok(ExitCode::SUCCESS);
    }
    let resolved = bake::resolve(&request).map_err(|error| error.to_string())?;
    if arguments.print {
        println!("{}", resolved.print());
        return Ok(ExitCode::SUCCESS);
    }
    let planned = targets::plan(&resolved, &arguments.registries)?;
    if planned.iter().any(|planned| planned.asks) {
        return answer(&planned, &resolved, data_dir.as_deref());
    }
    say_notes(&planned, arguments.progress)?;
    let bakery = Bakery::open(data_dir, registries::parse_all(&arguments.registries)?, arguments.progress)?;
    let built = bakery.build(&planned)?;
    if let (Ok(built), Some(path)) = (&built, &arguments.metadata_file) {
        let metadata = built.iter().map(|(name, built, names)| (name.clone(), report::metadata(built, names)));
        report::write_json(path, &Value::Object(metadata.collect::<Map<_, _>>()))?;
    }
    Ok(built.map_or_else(|code| code, |_| ExitCode::SUCCESS))
}

/// Returns a line for each target and group.
fn listed(definitions: &Definitions) -> String {
    let mut lines = vec!["TARGET\tDESCRIPTION".to_owned()];
    let groups = definitions.groups.iter().map(|group| (group.name.as_str(), group.targets.join(", ")));
    let targets = definitions.targets.iter().map(|target| (target.name.as_str(), target.description.clone()));
    let mut all: Vec<_> = groups.chain(targets).collect();
    all.sort();
    all.dedup_by(|one, two| one.0 == two.0);
    lines.extend(all.into_iter().map(|(name, text)| format!("{name}\t{text}").trim_end().to_owned()));
    lines.push(String::new());
    lines.join("\n")
}

/// Answers the questions of all targets, one after the other.
fn answer(planned: &[Planned], resolved: &Resolved, data_dir: Option<&Path>) -> Result<ExitCode, String> {
    if let Some(builds) = planned.iter().find(|planned| !planned.asks) {
        return Err(format!(
            "the target `{}` is built, while others only answer a question: --set *.call=METHOD asks all",
            builds.name
        ));
    }
    let mut worst = ExitCode::SUCCESS;
    for planned in planned {
        if !planned.needs.is_empty() {
            return Err(format!(
                "the target `{}` has another as a context, which is not built to answer a question",
                planned.name
            ));
        }
        println!("{}", planned.name);
        let description = resolved.targets.get(&planned.name).map(|target| target.description.as_str());
        description.filter(|text| !text.is_empty()).into_iter().for_each(|text| println!("{text}"));
        println!();
        let code = build::answer(&planned.arguments, data_dir.map(Path::to_owned));
        let code = code.map_err(|error| format!("target `{}`: {error}", planned.name))?;
        worst = code.filter(|code| *code != ExitCode::SUCCESS).unwrap_or(worst);
    }
    Ok(worst)
}

/// Says once what has no effect, or another than docker's.
fn say_notes(planned: &[Planned], style: Style) -> Result<(), String> {
    let mut said = Vec::new();
    for planned in planned {
        for note in planned.arguments.notes()? {
            if !matches!(style, Style::Quiet | Style::Json) && !said.contains(&note) {
                eprintln!("{note}");
                said.push(note);
            }
        }
    }
    Ok(())
}
