//! Blobs: read whole or in part, streamed from their files.

use crate::error::Failure;
use crate::events::{EventKind, Target};
use crate::sent::checked;
use crate::server::{Registry, blocking_check};
use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use image_store::{Part, Store};
use registry_client::Digest;
use std::io::SeekFrom;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Bytes that are read from a file at once.
pub(crate) const CHUNK: usize = 256 * 1024;

/// Serves a blob that the repository has.
pub(crate) async fn get(
    registry: &Registry,
    name: &str,
    digest: &Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let size = registry.store.size(digest).filter(|_| registry.has_blob(name, digest));
    let size = size.ok_or_else(|| Failure::blob_unknown(digest.as_str()))?;
    if *method == Method::HEAD && !is_known(headers, digest) {
        // A client that finds the blob here does not send it, and will put a manifest that names it.
        registry.store.promise(digest);
    }
    let file = tokio::fs::File::open(registry.store.path(digest)).await?;
    let mut response =
        answer(Opened { store: registry.store.clone(), digest: digest.clone(), size, file }, headers).await?;
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    Ok(response)
}

/// A blob whose file is open: it can be read to its end, whatever becomes of its name.
pub(crate) struct Opened {
    pub store: Store,
    pub digest: Digest,
    pub size: u64,
    pub file: tokio::fs::File,
}

/// Returns the answer that has a blob, or the part of it that is asked for.
pub(crate) async fn answer(blob: Opened, headers: &HeaderMap) -> Result<Response, Failure> {
    let Opened { store, digest, size, mut file } = blob;
    if is_known(headers, &digest) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, format!("\"{digest}\""))]).into_response());
    }
    let (first, length, status) = match range(headers, size) {
        None => (0, size, StatusCode::OK),
        Some(Ok((first, last))) => (first, last - first + 1, StatusCode::PARTIAL_CONTENT),
        Some(Err(())) => {
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))])
                .into_response());
        }
    };
    file.seek(SeekFrom::Start(first)).await?;
    let bytes = ReaderStream::with_capacity(file.take(length), CHUNK);
    let body = match status {
        StatusCode::OK => Body::from_stream(checked(store, digest.clone(), size, bytes)),
        _ => Body::from_stream(bytes),
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, format!("\"{digest}\"")),
    ];
    let mut response = (status, headers, [("Docker-Content-Digest", digest.to_string())], body).into_response();
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = format!("bytes {first}-{}/{size}", first + length - 1).parse()
    {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// Takes a blob away from a repository; others keep theirs.
pub(crate) async fn delete(registry: &Registry, name: &str, digest: &Digest) -> Result<Response, Failure> {
    let (keeper, repository, blob) = (registry.clone(), name.to_owned(), digest.clone());
    let removed = blocking_check(move || {
        let _turn = keeper.turn();
        if keeper.has_blob(&repository, &blob) {
            keeper.check_pinned(&repository, &blob)?;
        }
        Ok(keeper.store.expel(&repository, Part::Blob, &blob)?)
    });
    if !removed.await? {
        return Err(Failure::blob_unknown(digest.as_str()));
    }
    registry.record(EventKind::Delete, digest.as_str(), &Target::named(name, digest.as_str())).await;
    Ok(StatusCode::ACCEPTED.into_response())
}

impl Registry {
    /// Tells whether the repository has the blob; a store that cannot be asked has nothing.
    pub(crate) fn has_blob(&self, name: &str, digest: &Digest) -> bool {
        self.store.has(name, Part::Blob, digest).unwrap_or(false)
    }
}

/// Tells whether whoever asks has it already (`If-None-Match`).
pub(crate) fn is_known(headers: &HeaderMap, digest: &Digest) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    known.split(',').any(|tag| tag.trim().trim_start_matches("W/").trim_matches('"') == digest.as_str())
}

/// Returns the first and last byte that one range asks for; `None` without a range or with one that is not understood.
fn range(headers: &HeaderMap, size: u64) -> Option<Result<(u64, u64), ()>> {
    let text = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = text.split_once('-')?;
    let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(length)) if first.is_empty() => (size.saturating_sub(length), size.saturating_sub(1)),
        _ => return None,
    };
    Some(if first <= last && first < size { Ok((first, last)) } else { Err(()) })
}
