//! `slipway repo shadow` and `slipway repo switch`: what slipway builds beside another service, compared, and the move.

use super::status::table;
use crate::client::{Api, Connection, encoded, print_json, read, repository_name};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::build::BuildList;
use webhook::view::difference::{DifferenceView, FileDifferenceView};
use webhook::view::repository::RepositoryView;

/// Builds among which the newest of each tag is looked for.
const BUILDS: usize = 100;
/// Files of a difference that are named.
const FILES: usize = 20;

/// Arguments of `slipway repo shadow`.
#[derive(Debug, Args)]
pub(crate) struct Shadow {
    /// namespace/name
    #[arg(value_parser = repository_name)]
    name: String,
    /// Only this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Arguments of `slipway repo switch`.
#[derive(Debug, Args)]
pub(crate) struct Switch {
    /// namespace/name
    #[arg(value_parser = repository_name)]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Compares the newest image of each tag with the one of the other service; fails if one differs.
pub(crate) fn compare(arguments: &Shadow) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let repository = repository(&api, &arguments.name)?;
    let Some(shadow_of) = &repository.document.shadow_of else {
        return Err(format!("{}: `shadow_of` does not name the image of another service", arguments.name));
    };
    let mut found = Vec::new();
    for build in newest(&api, &arguments.name, arguments.tag.as_deref())? {
        found.push(api.get(&format!("/v1/builds/{}/diff?against=shadow", encoded(&build)))?);
    }
    if found.is_empty() {
        return Err(format!("{}: nothing was built yet that {shadow_of} could be compared with", arguments.name));
    }
    let differences = found.iter().map(read).collect::<Result<Vec<DifferenceView>, _>>()?;
    if arguments.connection.json {
        print_json(&json!({ "comparisons": found }));
    } else {
        differences.iter().for_each(print);
    }
    Ok(if differences.iter().all(|one| one.same) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lets the images of a repository take the place of those of the other service.
pub(crate) fn switch(arguments: &Switch) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let path = format!("/v1/repos/{}", encoded(&arguments.name));
    let mut document = api.get(&path)?;
    let repository: RepositoryView = read(&document)?;
    let Some(image) = repository.document.shadow_of else {
        return Err(format!("{}: `shadow_of` does not name an image to take the place of", arguments.name));
    };
    if repository.meta.defined_in != "api" {
        return Err(format!(
            "{} is defined in the server's configuration: write `image = \"{image}\"` there, remove `shadow_of`, and \
             restart the server",
            arguments.name
        ));
    }
    if let Some(keys) = document.as_object_mut() {
        keys.remove("meta");
        keys.remove("shadow_of");
        keys.insert("image".to_owned(), Value::from(image.as_str()));
    }
    let answer = api.send(Method::PUT, &path, Some(&document), &[])?;
    if arguments.connection.json {
        print_json(&answer.body);
    } else {
        println!("{}: images go to {} from the next build on", arguments.name, sanitize(&image));
        println!("turn the other service off, and push or trigger a build");
    }
    Ok(ExitCode::SUCCESS)
}

fn repository(api: &Api, name: &str) -> Result<RepositoryView, String> {
    read(&api.get(&format!("/v1/repos/{}", encoded(name)))?)
}

/// Returns the newest builds that made an image, one for each first tag.
fn newest(api: &Api, name: &str, only: Option<&str>) -> Result<Vec<String>, String> {
    let tag = only.map(|tag| format!("&tag={}", encoded(tag))).unwrap_or_default();
    let path = format!("/v1/builds?repo={}&state=succeeded&limit={BUILDS}{tag}", encoded(name));
    let list: BuildList = read(&api.get(&path)?)?;
    let mut seen = BTreeSet::new();
    let with_image = list.builds.into_iter().filter_map(|build| Some((build.id, build.image?.tags.first()?.clone())));
    Ok(with_image.filter(|(_, tag)| seen.insert(tag.clone())).map(|(id, _)| id).collect())
}

fn print(difference: &DifferenceView) {
    let other = sanitize(difference.shadow.as_deref().unwrap_or_default());
    let counts = &difference.counts;
    println!("{}  {other}", if difference.same { "same   " } else { "differs" });
    println!("  build     {}", sanitize(&difference.build));
    println!("  download  {} bytes here, {} there", difference.compressed.new, difference.compressed.old);
    for note in &difference.notes {
        println!("  note      {}", sanitize(note));
    }
    if difference.same {
        return;
    }
    println!("  files     {} only here, {} only there, {} changed", counts.added, counts.removed, counts.changed);
    let rows = difference.files.iter().take(FILES).map(|file| {
        let [path, here, there] = [format!("/{}", file.path), facts(file, true), facts(file, false)];
        [sanitize(&path), here, there]
    });
    let packages = difference.packages.iter().map(|package| {
        let name = format!("{} {}", package.manager, package.name);
        [sanitize(&name), sanitize(text(&package.new)), sanitize(text(&package.old))]
    });
    let settings = difference
        .settings
        .iter()
        .map(|setting| [sanitize(&setting.name), sanitize(text(&setting.new)), sanitize(text(&setting.old))]);
    table(["WHAT", "HERE", "THERE"], settings.chain(packages).chain(rows).collect());
    let more = (counts.added + counts.removed + counts.changed).saturating_sub(FILES as u64);
    if more > 0 {
        println!("{more} files more: --json names up to 500");
    }
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("-")
}

fn facts(file: &FileDifferenceView, here: bool) -> String {
    let side = if here { &file.new } else { &file.old };
    side.as_ref().map_or_else(|| "-".to_owned(), |it| format!("{} {} {}", it.size, it.mode, it.owner))
}
