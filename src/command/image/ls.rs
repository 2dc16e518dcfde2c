//! `slipway images`: the images that are kept here, one row for each name.

use crate::hand::{Failure, Format, Hand, ago, bytes, now, short_time, told};
use clap::Args;
use container::{Catalog, Filters, Image, short_id};
use registry_client::Digest;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway images`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only images of this name; `*` and `?` stand for anything but a slash
    repository: Option<String>,
    /// Show all images; those without a name are shown in any case
    #[arg(short, long)]
    all: bool,
    /// Show digests of registries
    #[arg(long)]
    digests: bool,
    /// Only images for which this holds: dangling=, label=, before=, since=, until=, reference=
    #[arg(short, long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
    /// How to print: table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show ids and digests whole
    #[arg(long)]
    no_trunc: bool,
    /// Show only ids
    #[arg(short, long)]
    quiet: bool,
}

const COLUMNS: [(&str, &str); 5] =
    [("Repository", "REPOSITORY"), ("Tag", "TAG"), ("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("Size", "SIZE")];
const HEADINGS: [(&str, &str); 2] = [("Digest", "DIGEST"), ("CreatedAt", "CREATED AT")];

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| list(arguments, data_dir))
}

fn list(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let format = Format::parse(arguments.format.as_deref())?;
    let mut filters = arguments.filters.clone();
    filters.extend(arguments.repository.iter().map(|pattern| format!("reference={pattern}")));
    let filters = Filters::parse(&filters, now())?;
    let hand = Hand::open(data_dir)?;
    let catalog = Catalog::load(&hand.store)?;
    filters.check(&catalog)?;
    let found: Vec<&Image> = catalog.images.iter().filter(|image| filters.matches(&catalog, image)).collect();
    if arguments.quiet {
        let mut ids: Vec<String> = found.iter().map(|image| id(image, arguments.no_trunc)).collect();
        ids.dedup();
        ids.iter().for_each(|id| println!("{id}"));
    } else {
        let wanted = |row: &Value| arguments.repository.as_deref().is_none_or(|pattern| row_matches(row, pattern));
        let rows: Vec<Value> = found.iter().flat_map(|image| rows(image, arguments.no_trunc)).filter(wanted).collect();
        let mut columns = COLUMNS.to_vec();
        if arguments.digests {
            columns.insert(2, HEADINGS[0]);
        }
        format.print(&columns, &HEADINGS, &rows)?;
    }
    if found.is_empty()
        && let Some(word) = arguments.repository.as_deref().filter(|word| ["ls", "rm", "list", "prune"].contains(word))
    {
        eprintln!("No images found matching {word:?}: did you mean \"slipway image {word}\"?");
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells whether a row's own name is what was asked for: an image may have others.
fn row_matches(row: &Value, pattern: &str) -> bool {
    let (repository, tag) = (row["Repository"].as_str().unwrap_or_default(), row["Tag"].as_str().unwrap_or_default());
    container::name_matches(pattern, repository, tag)
}

fn id(image: &Image, whole: bool) -> String {
    if whole { image.id.to_string() } else { short_id(&image.id).to_owned() }
}

/// Returns a row for each name of an image, or for each repository that knows it by a digest, or one without a name.
fn rows(image: &Image, whole: bool) -> Vec<Value> {
    let digest = |stored: &str| image.digests.iter().find(|known| known.stored == stored).map(|known| &known.digest);
    let mut rows: Vec<Value> = Vec::new();
    for name in &image.names {
        rows.push(row(image, whole, name.repository(), &name.tag, digest(&name.stored)));
    }
    let is_named = |stored: &str| image.names.iter().any(|name| name.stored == stored);
    for known in image.digests.iter().filter(|known| !is_named(&known.stored)) {
        let shown = known.to_string();
        let repository = shown.split('@').next().unwrap_or_default();
        rows.push(row(image, whole, repository, "<none>", Some(&known.digest)));
    }
    if rows.is_empty() {
        rows.push(row(image, whole, "<none>", "<none>", None));
    }
    rows
}

fn row(image: &Image, whole: bool, repository: &str, tag: &str, digest: Option<&Digest>) -> Value {
    let (created, size) = (image.created(), bytes(image.size().stored));
    json!({
        "Containers": "N/A",
        "CreatedAt": short_time(created),
        "CreatedSince": if created == 0 { "N/A".to_owned() } else { format!("{} ago", ago(now() - created)) },
        "Digest": digest.map_or("<none>".to_owned(), Digest::to_string),
        "ID": id(image, whole),
        "Repository": repository,
        "SharedSize": "N/A",
        "Size": size,
        "Tag": tag,
        "UniqueSize": "N/A",
        "VirtualSize": size,
    })
}
