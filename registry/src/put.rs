//! Putting a manifest: checked against its type, its digest and what its repository has, then named.

use crate::error::Failure;
use crate::events::{EventKind, Target};
use crate::manifests::MAX_MANIFEST;
use crate::query::parameters;
use crate::route::Selector;
use crate::server::{Registry, blocking_check};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use image_store::{Document, Named, Part, Store};
use registry_client::{Descriptor, Digest};
use std::collections::HashSet;

/// Most tags that one request may set.
const MAX_TAGS: usize = 100;

/// Most blobs and manifests that a manifest may name; images have at most a few hundred.
const MAX_DESCRIPTORS: usize = 10_000;

/// A manifest that is right in itself.
struct Checked {
    bytes: Bytes,
    document: Document,
    descriptor: Descriptor,
}

/// Takes a manifest.
pub(crate) async fn put(
    registry: &Registry,
    name: &str,
    selector: Selector,
    request: Request<Body>,
) -> Result<Response, Failure> {
    let tags = tags(registry, &selector, request.uri())?;
    let sent_type = sent_type(request.headers());
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > MAX_MANIFEST) {
        return Err(Failure::manifest_too_large(MAX_MANIFEST));
    }
    let bytes = axum::body::to_bytes(request.into_body(), MAX_MANIFEST).await;
    let bytes = bytes.map_err(|_| Failure::manifest_too_large(MAX_MANIFEST))?;
    let checked = check(bytes, sent_type.as_deref(), &selector)?;
    let subject = checked.document.subject.as_ref().and_then(|subject| subject.digest().ok());
    let (digest, media_type) = (checked.descriptor.digest.clone(), checked.descriptor.media_type.clone());
    let size = checked.descriptor.size;
    let (keeper, repository) = (registry.clone(), name.to_owned());
    let names = std::iter::once(selector.as_str().to_owned()).chain(tags.iter().cloned()).collect();
    blocking_check(move || keep(&keeper, &repository, &checked, names)).await?;
    for reference in std::iter::once(selector.as_str()).chain(tags.iter().map(String::as_str)) {
        let (digest, media_type) = (Some(digest.to_string()), Some(media_type.clone()));
        let target = Target { digest, media_type, size: Some(size), ..Target::named(name, reference) };
        registry.record(EventKind::Push, reference, &target).await;
    }
    let headers =
        [("Location", format!("/v2/{name}/manifests/{digest}")), ("Docker-Content-Digest", digest.to_string())];
    let mut response = (StatusCode::CREATED, headers).into_response();
    add(&mut response, "oci-subject", subject.iter().map(Digest::as_str));
    add(&mut response, "oci-tag", tags.iter().map(String::as_str));
    Ok(response)
}

fn add<'a>(response: &mut Response, name: &'static str, values: impl Iterator<Item = &'a str>) {
    for value in values.filter_map(|value| HeaderValue::from_str(value).ok()) {
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
}

/// Returns the tags that the request asks for besides the digest that it names.
fn tags(registry: &Registry, selector: &Selector, uri: &Uri) -> Result<Vec<String>, Failure> {
    if !registry.settings.tag_parameters || matches!(selector, Selector::Tag(_)) {
        return Ok(Vec::new());
    }
    let tags: Vec<String> = parameters(uri, "tag").collect();
    if tags.len() > MAX_TAGS {
        let message = format!("one request sets at most {MAX_TAGS} tags");
        return Err(Failure::new(StatusCode::URI_TOO_LONG, "UNSUPPORTED", message));
    }
    match tags.iter().find(|tag| !matches!(Selector::parse(tag), Ok(Selector::Tag(_)))) {
        Some(bad) => Err(Failure::tag_invalid(bad)),
        None => Ok(tags),
    }
}

/// Returns the media type that a request states, without parameters.
fn sent_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').next().map(|kind| kind.trim().to_owned())
}

/// Checks all that can be checked without the store.
fn check(bytes: Bytes, sent_type: Option<&str>, selector: &Selector) -> Result<Checked, Failure> {
    let document = Document::read(&bytes);
    let document =
        document.map_err(|error| Failure::manifest_invalid(format!("the manifest cannot be read: {error}")))?;
    let kind = document.kind().map_err(Failure::manifest_invalid)?.to_owned();
    if sent_type.is_some_and(|sent| sent != kind) {
        return Err(Failure::manifest_invalid(format!("Content-Type does not say `{kind}`, as the manifest does")));
    }
    let descriptors = document.blobs().count() + document.manifests().count();
    if descriptors > MAX_DESCRIPTORS {
        let message = format!("it names {descriptors} blobs and manifests: at most {MAX_DESCRIPTORS} are taken");
        return Err(Failure::manifest_invalid(message));
    }
    check_named("config", document.config.iter())?;
    check_named("layers", document.layers.iter().flatten())?;
    check_named("manifests", document.manifests())?;
    check_named("subject", document.subject.iter())?;
    let algorithm = match selector {
        Selector::Digest(digest) => digest.algorithm(),
        Selector::Tag(_) => Default::default(),
    };
    let digest = Digest::with(algorithm, &bytes);
    if let Selector::Digest(wanted) = selector
        && *wanted != digest
    {
        return Err(Failure::digest_invalid(format!("the manifest's digest is {digest}, not {wanted}")));
    }
    let descriptor = Descriptor::new(&kind, digest, bytes.len() as u64);
    Ok(Checked { bytes, document, descriptor })
}

/// Refuses descriptors with a malformed digest, or with content of their own that is not what they say.
fn check_named<'a>(field: &str, all: impl Iterator<Item = &'a Named>) -> Result<(), Failure> {
    for (number, named) in all.enumerate() {
        let wrong = |problem: String| Failure::manifest_invalid(format!("{field} ({}): {problem}", number + 1));
        let digest = named.digest().map_err(|error| wrong(error.to_string()))?;
        let Some(data) = &named.data else { continue };
        let data = STANDARD.decode(data).map_err(|error| wrong(format!("`data` is not base64: {error}")))?;
        if named.size.is_some_and(|size| size != data.len() as u64) || Digest::with(digest.algorithm(), &data) != digest
        {
            return Err(wrong(format!("`data` is not the content of {digest}")));
        }
    }
    Ok(())
}

/// Stores the manifest and gives it its names; what it leads to is durable then.
fn keep(registry: &Registry, repository: &str, checked: &Checked, names: Vec<String>) -> Result<(), Failure> {
    let store = &registry.store;
    let immutable: Vec<&String> =
        names.iter().filter(|name| registry.settings.is_immutable(repository, name)).collect();
    // Of two who set an immutable tag at once, one does; nobody deletes meanwhile what it will lead to, or takes the room.
    let is_limited = registry.settings.quota(repository).is_some();
    let _turn = (is_limited || !immutable.is_empty()).then(|| registry.turn());
    let absent = absent(store, repository, &checked.document, registry.settings.sparse_manifests)?;
    for tag in immutable {
        let has_moved = |there: &Descriptor| there.digest != checked.descriptor.digest;
        if store.resolve(repository, tag)?.as_ref().is_some_and(has_moved) {
            return Err(Failure::tag_immutable(tag));
        }
    }
    registry.check_room(repository, &checked.descriptor.digest, checked.descriptor.size)?;
    store.note_absent(repository, &absent)?;
    store.put_with(checked.descriptor.digest.algorithm(), &checked.bytes)?;
    // A manifest that is put by digest is kept from collection by a tag of that name, which lists leave out.
    for name in &names {
        store.tag(repository, name, &checked.descriptor)?;
    }
    Ok(())
}

/// Returns what a manifest names and its repository does not have; refuses it unless that may be: naming is not having.
fn absent(store: &Store, repository: &str, document: &Document, is_sparse: bool) -> Result<HashSet<Digest>, Failure> {
    let mut absent = HashSet::new();
    // Layers may be with others; the manifests of an index never are.
    let blobs = document.blobs().map(|named| (named, named.is_foreign()));
    for (named, may_be_absent) in blobs.chain(document.manifests().map(|named| (named, false))) {
        let Ok(digest) = named.digest() else { continue };
        let is_here = store.has(repository, Part::Blob, &digest)? || store.has(repository, Part::Manifest, &digest)?;
        // A collection that runs meanwhile leaves what is promised.
        if is_here && store.promise(&digest) {
            continue;
        }
        if !may_be_absent && !is_sparse {
            let message = format!("`{repository}` does not have {digest}: push it first");
            return Err(Failure::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", message));
        }
        absent.insert(digest);
    }
    Ok(absent)
}
