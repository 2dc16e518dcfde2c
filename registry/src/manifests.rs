//! Manifests and indexes: checked when they are put, found by tag or digest.

use crate::Registry;
use crate::error::Failure;
use crate::names::blocking;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use image_store::{Part, Store};
use registry_client::{Descriptor, Digest, media_type};
use serde_json::{Value, json};

/// Largest manifest that is taken.
const MAX_MANIFEST: usize = 4 * 1024 * 1024;

/// Serves a manifest.
pub async fn get(registry: &Registry, (name, reference): (&str, &str), method: &Method) -> Result<Response, Failure> {
    let (store, name, wanted) = (registry.store.clone(), name.to_owned(), reference.to_owned());
    let found = blocking(move || find(&store, &name, &wanted)).await?;
    let (descriptor, bytes) = found.ok_or_else(|| Failure::manifest_unknown(reference))?;
    let headers = [
        (header::CONTENT_TYPE, descriptor.media_type),
        (header::CONTENT_LENGTH, bytes.len().to_string()),
        (header::ETAG, format!("\"{}\"", descriptor.digest)),
    ];
    let body = if *method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
    Ok((headers, [("Docker-Content-Digest", descriptor.digest.to_string())], body).into_response())
}

/// Finds a manifest that the repository has.
fn find(store: &Store, name: &str, reference: &str) -> Result<Option<(Descriptor, Vec<u8>)>, image_store::Error> {
    let digest = match reference.parse::<Digest>() {
        Ok(digest) if store.has(name, Part::Manifest, &digest)? => digest,
        Ok(_) => return Ok(None),
        Err(_) => match store.resolve(name, reference)? {
            Some(descriptor) => {
                // A tag leads to what its repository has, even if a note of that was lost.
                if !store.has(name, Part::Manifest, &descriptor.digest)? {
                    store.admit_all(name, &descriptor)?;
                }
                descriptor.digest
            }
            None => return Ok(None),
        },
    };
    read(store, digest)
}

fn read(store: &Store, digest: Digest) -> Result<Option<(Descriptor, Vec<u8>)>, image_store::Error> {
    if !store.contains(&digest) {
        return Ok(None);
    }
    let bytes = match store.read(&digest, MAX_MANIFEST as u64) {
        Err(image_store::Error::TooLarge(..)) => return Ok(None),
        read => read?,
    };
    let Some(kind) = serde_json::from_slice::<Value>(&bytes).ok().as_ref().and_then(kind_of) else { return Ok(None) };
    Ok(Some((Descriptor::new(&kind, digest, bytes.len() as u64), bytes)))
}

/// Returns the media type of a document: what it says, or what its fields show.
fn kind_of(document: &Value) -> Option<String> {
    let own = document
        .get("mediaType")
        .and_then(Value::as_str)
        .filter(|kind| media_type::is_index(kind) || media_type::is_manifest(kind));
    let field = |key: &str| document.get(key).filter(|value| !value.is_null());
    let shown = match (field("manifests"), field("config")) {
        (Some(_), None) => media_type::OCI_INDEX,
        (None, Some(_)) => media_type::OCI_MANIFEST,
        _ => return None,
    };
    Some(own.unwrap_or(shown).to_owned())
}

/// Takes a manifest whose blobs are all here.
pub async fn put(
    registry: &Registry,
    (name, reference): (&str, &str),
    request: Request<Body>,
) -> Result<Response, Failure> {
    let sent_type = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    let bytes = axum::body::to_bytes(request.into_body(), MAX_MANIFEST).await;
    let bytes = bytes.map_err(|_| Failure::manifest_invalid(format!("a manifest has at most {MAX_MANIFEST} bytes")))?;
    let document: Value =
        serde_json::from_slice(&bytes).map_err(|error| Failure::manifest_invalid(format!("it is no JSON: {error}")))?;
    let kind = kind_of(&document).ok_or_else(|| Failure::manifest_invalid("it is neither a manifest nor an index"))?;
    if sent_type.is_some_and(|sent| sent.split(';').next() != Some(kind.as_str())) {
        return Err(Failure::manifest_invalid(format!("Content-Type does not say `{kind}`")));
    }
    check_references((&registry.store, name), &document)?;
    let digest = Digest::of(&bytes);
    if let Ok(wanted) = reference.parse::<Digest>()
        && wanted != digest
    {
        return Err(Failure::digest_invalid(format!("the manifest's digest is {digest}")));
    }
    let (store, repository, tag) = (registry.store.clone(), name.to_owned(), reference.to_owned());
    let descriptor = Descriptor::new(&kind, digest.clone(), bytes.len() as u64);
    // A manifest pushed by digest is kept from collection by a tag of that name, which lists leave out.
    blocking(move || {
        store.put(&bytes)?;
        store.tag(&repository, &tag, &descriptor)
    })
    .await?;
    let headers =
        [("Location", format!("/v2/{name}/manifests/{digest}")), ("Docker-Content-Digest", digest.to_string())];
    Ok((StatusCode::CREATED, headers).into_response())
}

/// Refuses a document that names blobs or manifests which the repository does not have: naming is not having.
fn check_references((store, name): (&Store, &str), document: &Value) -> Result<(), Failure> {
    let list = |key: &str| document.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let config = document.get("config").cloned();
    for descriptor in config.into_iter().chain(list("layers")).chain(list("manifests")) {
        let descriptor: Descriptor = serde_json::from_value(descriptor)
            .map_err(|error| Failure::manifest_invalid(format!("a descriptor is malformed: {error}")))?;
        // Layers with addresses of their own stay where they are (and are never fetched).
        let foreign = descriptor.media_type.contains("foreign") || descriptor.media_type.contains("nondistributable");
        let has = |part| store.has(name, part, &descriptor.digest);
        if !foreign && !has(Part::Blob)? && !has(Part::Manifest)? {
            let digest = descriptor.digest;
            return Err(Failure::new(
                StatusCode::NOT_FOUND,
                "MANIFEST_BLOB_UNKNOWN",
                format!("`{name}` does not have {digest}"),
            ));
        }
    }
    Ok(())
}

/// Removes a tag, or a manifest with all tags that lead to it.
pub async fn delete(registry: &Registry, (name, reference): (&str, &str)) -> Result<Response, Failure> {
    let (store, name, wanted) = (registry.store.clone(), name.to_owned(), reference.to_owned());
    let removed = blocking(move || {
        let Ok(digest) = wanted.parse::<Digest>() else { return store.untag(&name, &wanted) };
        let mut removed = false;
        for tag in store.tags(&name)? {
            if store.resolve(&name, &tag)?.is_some_and(|descriptor| descriptor.digest == digest) {
                removed |= store.untag(&name, &tag)?;
            }
        }
        Ok(store.expel(&name, Part::Manifest, &digest)? || removed)
    })
    .await?;
    if removed { Ok(StatusCode::ACCEPTED.into_response()) } else { Err(Failure::manifest_unknown(reference)) }
}

/// Lists the manifests of a repository that refer to `subject`.
pub async fn referrers(registry: &Registry, name: &str, subject: &Digest) -> Result<Response, Failure> {
    let (store, name, subject) = (registry.store.clone(), name.to_owned(), subject.clone());
    let found = blocking(move || {
        let mut found = Vec::new();
        for digest in store.parts(&name, Part::Manifest)? {
            let Some((descriptor, bytes)) = read(&store, digest)? else { continue };
            let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            if document.pointer("/subject/digest").and_then(Value::as_str) == Some(subject.as_str()) {
                found.push(descriptor);
            }
        }
        Ok(found)
    })
    .await?;
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": found});
    Ok(([(header::CONTENT_TYPE, media_type::OCI_INDEX)], index.to_string()).into_response())
}
