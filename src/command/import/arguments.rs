//! The arguments of `slipway repo import`, and which reader each file is for.

use super::repository::{Asked, Repository};
use super::{actions, gitlab, hub, openshift, quay, woodpecker};
use bake::yaml::{self, Node};
use clap::Args;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `slipway repo import`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Docker Hub's settings (a HAR file of its page, or the JSON of /api/build/v1/source/?image=… and of the settings that it
    /// links to), a workflow of GitHub Actions, .gitlab-ci.yml, a pipeline of Woodpecker, the JSON of Quay's triggers, or a
    /// BuildConfig of OpenShift; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Registry that the images of Docker Hub go to, in the same repositories
    #[arg(long, value_name = "HOST", default_value = "docker.io")]
    registry: String,
    /// Where commits are fetched from, for files that do not say so
    #[arg(long, value_name = "URL")]
    clone_url: Option<String>,
    /// Where images go, for files that do not say so
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
}

/// Prints the repositories as they stand in slipway.toml.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut of_hub = hub::Found::default();
    let asked = Asked { clone_url: arguments.clone_url.clone(), image: arguments.image.clone() };
    let mut written = String::new();
    for file in &arguments.files {
        let (name, text) = (file.display().to_string(), read(file)?);
        for repository in other(&name, &text, &asked, &mut of_hub)? {
            written.push_str(&repository.to_toml()?);
        }
    }
    if written.is_empty() || !of_hub.is_empty() {
        written.push_str(&hub::converted(&of_hub, &arguments.registry)?);
    }
    print!("{written}");
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(file).map(|content| text = content),
    };
    read.map_err(|error| format!("reading `{}`: {error}", file.display()))?;
    Ok(text)
}

/// Returns the repositories of a file that is not Docker Hub's; adds what is to `of_hub`.
fn other(name: &str, text: &str, asked: &Asked, of_hub: &mut hub::Found) -> Result<Vec<Repository>, String> {
    let json = serde_json::from_str::<serde_json::Value>(text);
    if let Ok(json) = json {
        if quay::is_quay(&json) {
            return quay::read(name, &json, asked);
        }
        if !openshift::is_json(&json) {
            of_hub.add(json);
            return Ok(Vec::new());
        }
    }
    let documents = yaml::parse_all(name, text).map_err(|error| error.to_string())?;
    let mut repositories = Vec::new();
    for document in &documents {
        repositories.extend(of_yaml(name, document, asked)?);
    }
    match repositories.is_empty() {
        true => Err(format!("reading `{name}`: nothing in it builds an image in a way that is known")),
        false => Ok(repositories),
    }
}

fn of_yaml(name: &str, document: &Node, asked: &Asked) -> Result<Vec<Repository>, String> {
    let is_kind = |kind: &str| document.get("kind").and_then(Node::written) == Some(kind);
    if is_kind("BuildConfig") || is_kind("List") {
        return openshift::read(name, document, asked);
    }
    if document.get("jobs").is_some() && document.pairs().iter().any(|(key, _)| key == "on") {
        return actions::read(name, document, asked);
    }
    if document.get("steps").or_else(|| document.get("pipeline")).is_some() {
        return woodpecker::read(name, document, asked);
    }
    gitlab::read(name, document, asked)
}
