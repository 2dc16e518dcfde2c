//! Uploads: a blob in one piece or in several, streamed to disk and hashed on the way.

use crate::error::Failure;
use crate::names::{blocking, query};
use crate::{Registry, blobs};
use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use image_store::{BlobWriter, Part};
use registry_client::{Digest, PROOF_HEADER};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// Uploads that nobody continued for so long are given up.
const STALE: Duration = Duration::from_secs(60 * 60);
/// Bytes that are gathered before they are written.
const CHUNK: usize = 1024 * 1024;

/// The uploads in progress; they end with the server.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<HashMap<String, Upload>>>);

struct Upload {
    /// The repository that it is for: another one cannot go on with it.
    name: String,
    writer: BlobWriter,
    touched: Instant,
}

impl Uploads {
    fn insert(&self, (name, id): (&str, &str), writer: BlobWriter) {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|_, upload| upload.touched.elapsed() < STALE);
        uploads.insert(id.to_owned(), Upload { name: name.to_owned(), writer, touched: Instant::now() });
    }

    /// Takes an upload out: nobody else can write to it meanwhile.
    fn take(&self, (name, id): (&str, &str)) -> Option<BlobWriter> {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.get(id).filter(|upload| upload.name == name)?;
        uploads.remove(id).map(|upload| upload.writer)
    }

    fn size(&self, (name, id): (&str, &str)) -> Option<u64> {
        let uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.get(id).filter(|upload| upload.name == name).map(|upload| upload.writer.size())
    }
}

/// Begins an upload; gives the repository the blob at once if the request shows that it may have it, or sends it whole.
pub async fn begin(registry: &Registry, name: &str, request: Request<Body>) -> Result<Response, Failure> {
    let uri = request.uri().clone();
    if let Some(blob) = mounted(registry, name, &uri).or_else(|| proven(registry, name, request.headers())) {
        admit(registry, name, &blob).await?;
        return Ok(created(name, &blob));
    }
    let store = registry.store.clone();
    let writer = blocking(move || store.writer()).await?;
    if let Some(digest) = query(&uri, "digest") {
        let writer = write_body(writer, request.into_body().into_data_stream()).await?;
        return commit(registry, (name, &digest), writer).await;
    }
    let id = Uuid::now_v7().to_string();
    registry.uploads.insert((name, &id), writer);
    Ok(progress(StatusCode::ACCEPTED, name, &id, 0))
}

/// Returns the blob that the request wants to be mounted, if this repository or the one that it names has it.
fn mounted(registry: &Registry, name: &str, uri: &Uri) -> Option<Digest> {
    let digest = query(uri, "mount")?.parse().ok()?;
    let from = query(uri, "from");
    let has = blobs::has(registry, name, &digest) || from.is_some_and(|from| blobs::has(registry, &from, &digest));
    (has && registry.store.promise(&digest)).then_some(digest)
}

/// Returns the blob that the request shows to have at hand: it comes from who shares the store.
fn proven(registry: &Registry, name: &str, headers: &HeaderMap) -> Option<Digest> {
    let (digest, proof) = headers.get(PROOF_HEADER)?.to_str().ok()?.split_once(' ')?;
    let digest = digest.parse().ok()?;
    let is_right = bool::from(registry.store.proof(name, &digest).as_bytes().ct_eq(proof.as_bytes()));
    (is_right && registry.store.contains(&digest) && registry.store.promise(&digest)).then_some(digest)
}

async fn admit(registry: &Registry, name: &str, digest: &Digest) -> Result<(), Failure> {
    let (store, name, digest) = (registry.store.clone(), name.to_owned(), digest.clone());
    blocking(move || store.admit(&name, Part::Blob, &digest)).await
}

/// Adds a chunk.
pub async fn append(
    registry: &Registry,
    (name, id): (&str, &str),
    request: Request<Body>,
) -> Result<Response, Failure> {
    let size = registry.uploads.size((name, id)).ok_or_else(Failure::upload_unknown)?;
    if let Some(range) = request.headers().get(header::CONTENT_RANGE) {
        let first = range
            .to_str()
            .ok()
            .and_then(|range| range.split_once('-'))
            .and_then(|(first, _)| first.parse::<u64>().ok());
        if first != Some(size) {
            return Ok(progress(StatusCode::RANGE_NOT_SATISFIABLE, name, id, size));
        }
    }
    let writer = registry.uploads.take((name, id)).ok_or_else(Failure::upload_unknown)?;
    let writer = write_body(writer, request.into_body().into_data_stream()).await?;
    let size = writer.size();
    registry.uploads.insert((name, id), writer);
    Ok(progress(StatusCode::ACCEPTED, name, id, size))
}

/// Adds the last chunk, if there is one, and makes the blob visible if its digest is right.
pub async fn finish(
    registry: &Registry,
    (name, id): (&str, &str),
    request: Request<Body>,
) -> Result<Response, Failure> {
    let digest = query(request.uri(), "digest").ok_or_else(|| Failure::digest_invalid("the digest is missing"))?;
    let writer = registry.uploads.take((name, id)).ok_or_else(Failure::upload_unknown)?;
    let writer = write_body(writer, request.into_body().into_data_stream()).await?;
    commit(registry, (name, &digest), writer).await
}

/// Tells how much of an upload is here.
pub async fn status(registry: &Registry, (name, id): (&str, &str)) -> Result<Response, Failure> {
    let size = registry.uploads.size((name, id)).ok_or_else(Failure::upload_unknown)?;
    Ok(progress(StatusCode::NO_CONTENT, name, id, size))
}

/// Gives an upload up.
pub fn abandon(registry: &Registry, (name, id): (&str, &str)) -> Result<Response, Failure> {
    registry.uploads.take((name, id)).ok_or_else(Failure::upload_unknown)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn commit(registry: &Registry, (name, digest): (&str, &str), writer: BlobWriter) -> Result<Response, Failure> {
    let digest: Digest =
        digest.parse().map_err(|error: registry_client::DigestError| Failure::digest_invalid(error.to_string()))?;
    let expected = digest.clone();
    blocking(move || writer.commit_expecting(&expected)).await?;
    admit(registry, name, &digest).await?;
    Ok(created(name, &digest))
}

/// Streams a body into the blob; a connection that breaks gives the upload up.
async fn write_body(mut writer: BlobWriter, mut body: BodyDataStream) -> Result<BlobWriter, Failure> {
    let mut gathered = Vec::with_capacity(CHUNK);
    let mut open = true;
    while open {
        match body.next().await {
            Some(Ok(chunk)) => gathered.extend_from_slice(&chunk),
            Some(Err(_)) => {
                return Err(Failure::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", "the body ended early"));
            }
            None => open = false,
        }
        if gathered.len() >= CHUNK || (!open && !gathered.is_empty()) {
            let chunk = std::mem::replace(&mut gathered, Vec::with_capacity(CHUNK));
            let written = tokio::task::spawn_blocking(move || writer.write_all(&chunk).map(|()| writer)).await;
            writer = written.map_err(std::io::Error::other)??;
        }
    }
    Ok(writer)
}

fn created(name: &str, digest: &Digest) -> Response {
    let headers = [("Location", format!("/v2/{name}/blobs/{digest}")), ("Docker-Content-Digest", digest.to_string())];
    (StatusCode::CREATED, headers).into_response()
}

fn progress(status: StatusCode, name: &str, id: &str, size: u64) -> Response {
    let headers = [
        ("Location", format!("/v2/{name}/blobs/uploads/{id}")),
        ("Range", format!("0-{}", size.saturating_sub(1))),
        ("Docker-Upload-UUID", id.to_owned()),
    ];
    (status, headers).into_response()
}
