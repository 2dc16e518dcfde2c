//! Search, in the shape that `docker search` knows: repositories by name, with what their images say of themselves.

use crate::error::Failure;
use crate::query::parameter;
use crate::server::{Registry, blocking};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use image_store::{Document, MAX_DOCUMENT, Part, Store};
use registry_client::Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Results of a page if nothing else is asked for, and at most.
const DEFAULT_PAGE: usize = 25;
const MAX_PAGE: usize = 100;
/// Largest configuration that is read for a description.
const MAX_CONFIG: u64 = 1024 * 1024;
/// The label and annotation with a description.
const DESCRIPTION: &str = "org.opencontainers.image.description";

/// The part of an image's configuration that is looked at.
#[derive(Deserialize)]
struct Configuration {
    config: Option<Labelled>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Labelled {
    labels: Option<BTreeMap<String, String>>,
}

/// Searches repositories that whoever asks may read.
pub(crate) async fn search(registry: &Registry, uri: &Uri) -> Result<Response, Failure> {
    let query = parameter(uri, "q").unwrap_or_default().to_lowercase();
    let size = number(uri, "n", DEFAULT_PAGE)?.clamp(1, MAX_PAGE);
    let page = number(uri, "page", 1)?.max(1);
    let store = registry.store.clone();
    let names = blocking(move || store.repositories()).await?;
    let mut names: Vec<String> =
        names.into_iter().filter(|name| name.contains(&query) && registry.is_listed(name)).collect();
    // The name itself comes first, then those that begin with it, then the others, each in their order.
    names.sort_by_key(|name| (*name != query, !name.starts_with(&query)));
    let total = names.len();
    let shown: Vec<String> = names.into_iter().skip(size.saturating_mul(page - 1)).take(size).collect();
    let store = registry.store.clone();
    let results = blocking(move || Ok(shown.iter().map(|name| result(&store, name)).collect::<Vec<_>>()));
    let found = json!({
        "query": query, "num_results": total, "num_pages": total.div_ceil(size), "page": page, "page_size": size,
        "results": results.await?,
    });
    Ok(axum::Json(found).into_response())
}

fn number(uri: &Uri, key: &str, default: usize) -> Result<usize, Failure> {
    let Some(text) = parameter(uri, key) else { return Ok(default) };
    text.parse().map_err(|_| {
        let message = format!("{key} is `{text}`: a number is expected");
        Failure::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message)
    })
}

fn result(store: &Store, name: &str) -> Value {
    json!({
        "name": name, "description": description(store, name).unwrap_or_default(), "star_count": 0, "is_official": false,
        "is_automated": false,
    })
}

/// Returns what the image `latest`, or else the first tag in the list, says of itself.
fn description(store: &Store, name: &str) -> Option<String> {
    let tags = store.tags(name).ok()?;
    let tag = tags.iter().find(|tag| *tag == "latest").or_else(|| tags.iter().find(|tag| !tag.contains(':')))?;
    let manifest = document(store, &store.resolve(name, tag).ok()??.digest)?;
    // A manifest may name what its repository was never given.
    let has = |part: Part, digest: &Digest| store.has(name, part, digest).unwrap_or(false);
    let manifest = match manifest.manifests.as_ref().and_then(|manifests| manifests.first()) {
        Some(first) if annotated(&manifest).is_none() => {
            document(store, &first.digest().ok().filter(|digest| has(Part::Manifest, digest))?)?
        }
        _ => manifest,
    };
    annotated(&manifest).or_else(|| {
        let digest = manifest.config.as_ref()?.digest().ok().filter(|digest| has(Part::Blob, digest))?;
        let configuration: Configuration = serde_json::from_slice(&store.read(&digest, MAX_CONFIG).ok()?).ok()?;
        configuration.config?.labels?.remove(DESCRIPTION)
    })
}

fn document(store: &Store, digest: &Digest) -> Option<Document> {
    Document::read(&store.read(digest, MAX_DOCUMENT).ok()?).ok()
}

fn annotated(document: &Document) -> Option<String> {
    document.annotations.as_ref()?.get(DESCRIPTION)?.as_str().map(str::to_owned)
}
