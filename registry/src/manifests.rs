//! Manifests and indexes: found by tag or digest, and deleted.

use crate::blobs::is_known;
use crate::error::Failure;
use crate::events::{EventKind, Target};
use crate::route::Selector;
use crate::server::{Registry, blocking, blocking_check};
use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use image_store::{Document, MAX_DOCUMENT, Part, Store};
use registry_client::{Descriptor, Digest};

/// Largest manifest.
pub(crate) const MAX_MANIFEST: usize = MAX_DOCUMENT as usize;

/// A manifest that a repository has.
pub(crate) struct Found {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Vec<u8>,
}

/// Serves a manifest.
pub(crate) async fn get(
    registry: &Registry,
    name: &str,
    selector: &Selector,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let (store, repository, wanted) = (registry.store.clone(), name.to_owned(), selector.clone());
    let found = blocking(move || find(&store, &repository, &wanted)).await?;
    let found = found.ok_or_else(|| Failure::manifest_unknown(selector.as_str()))?;
    if *method == Method::GET && !is_known(headers, &found.digest) {
        let (digest, media_type) = (Some(found.digest.to_string()), Some(found.media_type.clone()));
        let size = Some(found.bytes.len() as u64);
        let target = Target { digest, media_type, size, ..Target::named(name, selector.as_str()) };
        registry.tell(EventKind::Pull, &target);
    }
    Ok(answer(found, method, headers))
}

/// Returns the answer that has a manifest.
pub(crate) fn answer(found: Found, method: &Method, headers: &HeaderMap) -> Response {
    let etag = (header::ETAG, format!("\"{}\"", found.digest));
    if is_known(headers, &found.digest) {
        return (StatusCode::NOT_MODIFIED, [etag]).into_response();
    }
    let headers =
        [(header::CONTENT_TYPE, found.media_type), (header::CONTENT_LENGTH, found.bytes.len().to_string()), etag];
    let body = if *method == Method::HEAD { Body::empty() } else { Body::from(found.bytes) };
    (headers, [("Docker-Content-Digest", found.digest.to_string())], body).into_response()
}

fn find(store: &Store, name: &str, selector: &Selector) -> Result<Option<Found>, image_store::Error> {
    let digest = match selector {
        Selector::Digest(digest) if store.has(name, Part::Manifest, digest)? => digest.clone(),
        Selector::Digest(_) => return Ok(None),
        Selector::Tag(tag) => match store.resolve(name, tag)? {
            Some(descriptor) => noted(store, name, descriptor)?,
            None => return Ok(None),
        },
    };
    read(store, digest)
}

/// A tag leads to what its repository has, even if a note of that was lost.
fn noted(store: &Store, name: &str, descriptor: Descriptor) -> Result<Digest, image_store::Error> {
    if !store.has(name, Part::Manifest, &descriptor.digest)? {
        store.admit(name, Part::Manifest, &descriptor.digest)?;
    }
    Ok(descriptor.digest)
}

fn read(store: &Store, digest: Digest) -> Result<Option<Found>, image_store::Error> {
    if !store.contains(&digest) {
        return Ok(None);
    }
    let bytes = match store.read(&digest, MAX_DOCUMENT) {
        Err(image_store::Error::TooLarge(..)) => return Ok(None),
        read => read?,
    };
    let media_type = Document::read(&bytes).ok().and_then(|document| document.kind().ok().map(str::to_owned));
    Ok(media_type.map(|media_type| Found { digest, media_type, bytes }))
}

/// Removes a tag, or a manifest with all tags that lead to it.
pub(crate) async fn delete(registry: &Registry, name: &str, selector: Selector) -> Result<Response, Failure> {
    let (keeper, repository, wanted) = (registry.clone(), name.to_owned(), selector.clone());
    let removed = blocking_check(move || match wanted {
        Selector::Tag(tag) => untag(&keeper, &repository, &tag),
        Selector::Digest(digest) => remove(&keeper, &repository, &digest),
    });
    if !removed.await? {
        return Err(Failure::manifest_unknown(selector.as_str()));
    }
    registry.record(EventKind::Delete, selector.as_str(), &Target::named(name, selector.as_str())).await;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn untag(registry: &Registry, name: &str, tag: &str) -> Result<bool, Failure> {
    let is_there = registry.store.resolve(name, tag)?.is_some();
    if is_there && registry.settings.is_immutable(name, tag) {
        return Err(Failure::tag_immutable(tag));
    }
    Ok(registry.store.delete_tag(name, tag, registry.settings.restore)?)
}

fn remove(registry: &Registry, name: &str, digest: &Digest) -> Result<bool, Failure> {
    let store = &registry.store;
    let _turn = registry.turn();
    let mut tags = store.tags(name)?;
    tags.retain(|tag| matches!(store.resolve(name, tag), Ok(Some(there)) if there.digest == *digest));
    if !tags.is_empty() || store.has(name, Part::Manifest, digest)? {
        registry.check_pinned(name, digest)?;
    }
    let mut removed = false;
    for tag in tags {
        removed |= store.delete_tag(name, &tag, registry.settings.restore)?;
    }
    Ok(store.expel(name, Part::Manifest, digest)? || removed)
}
