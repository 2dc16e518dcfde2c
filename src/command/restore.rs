//! `slipway registry deleted` and `restore`: tags that were deleted lately, and how they come back.

use super::status::table;
use crate::client::print_json;
use crate::clock::unix_ms;
use clap::Args;
use database::{Database, NewChange};
use image_store::{DeletedTag, Store};
use registry_client::report;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

/// Arguments of `slipway registry deleted`.
#[derive(Debug, Args)]
pub(crate) struct Deleted {
    /// Only this repository
    #[arg(long, value_name = "REPOSITORY")]
    repo: Option<String>,
}

/// Arguments of `slipway registry restore`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The tag or the digest: team/app:1.2, team/app@sha256:…
    #[arg(value_name = "REPOSITORY:TAG")]
    name: String,
}

/// Lists deleted tags.
pub(crate) fn list(images: &Path, asked: &Deleted, json: bool) -> Result<ExitCode, String> {
    let store = Store::open(images).map_err(|error| report(&error))?;
    let repositories = match &asked.repo {
        Some(repository) => vec![repository.clone()],
        None => store.deleted_repositories().map_err(|error| report(&error))?,
    };
    let mut tags = Vec::new();
    for repository in repositories {
        tags.extend(store.deleted_tags(&repository).map_err(|error| report(&error))?);
    }
    if json {
        print_json(&tags.iter().map(shown).collect::<Value>());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = tags.iter().map(|tag| {
        let minutes = (until_ms(tag) - unix_ms()).max(0) / 60_000;
        [named(tag), tag.manifest.digest.to_string(), format!("{minutes} min")]
    });
    table(["TAG", "DIGEST", "KEPT FOR"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

/// Puts a tag back.
pub(crate) async fn run(images: &Path, database: &Database, asked: &Restore, json: bool) -> Result<ExitCode, String> {
    let name = &asked.name;
    let parts = name.split_once('@').or_else(|| name.rsplit_once(':').filter(|parts| !parts.1.contains('/')));
    let (repository, reference) = parts.ok_or_else(|| {
        format!("`{name}` is not a tag or digest of a repository: write team/app:1.2 or team/app@sha256:…")
    })?;
    let store = Store::open(images).map_err(|error| report(&error))?;
    let restored = registry::restore(&store, repository, reference).map_err(|error| report(&error))?;
    for tag in &restored {
        let change = NewChange {
            action: "restore",
            repository: tag.repository.clone(),
            reference: tag.name.clone(),
            digest: tag.manifest.digest.to_string(),
            ..NewChange::default()
        };
        database.record_change(&change).await.map_err(|error| report(&error))?;
    }
    if json {
        print_json(&restored.iter().map(shown).collect::<Value>());
        return Ok(ExitCode::SUCCESS);
    }
    for tag in &restored {
        println!("{} restored", named(tag));
    }
    Ok(ExitCode::SUCCESS)
}

fn named(tag: &DeletedTag) -> String {
    let separator = if tag.name.contains(':') { '@' } else { ':' };
    format!("{}{separator}{}", tag.repository, tag.name)
}

fn shown(tag: &DeletedTag) -> Value {
    json!({
        "repository": tag.repository, "reference": tag.name, "digest": tag.manifest.digest.as_str(),
        "until_ms": until_ms(tag),
    })
}

fn until_ms(tag: &DeletedTag) -> i64 {
    tag.until.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
