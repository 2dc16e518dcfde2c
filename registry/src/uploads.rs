//! Uploads: a blob in one piece or in several, streamed to disk and hashed on the way.

use crate::error::Failure;
use crate::events::{EventKind, Target};
use crate::mount::{admit, mount};
use crate::query::parameter;
use crate::server::{Registry, blocking};
use crate::session::{Turn, Upload};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use registry_client::{Algorithm, Digest};

/// Begins an upload; gives the repository the blob at once if the request shows that it may have it, or sends it whole.
pub(crate) async fn begin(registry: &Registry, name: &str, request: Request<Body>) -> Result<Response, Failure> {
    let uri = request.uri().clone();
    if let Some(digest) = mount(registry, name, &uri, request.headers()).await? {
        let from = parameter(&uri, "from").filter(|from| !from.is_empty());
        // A client that names the repository itself only asks whether the blob is there.
        if parameter(&uri, "mount").is_some() && from.as_deref() != Some(name) {
            let size = registry.store.size(&digest);
            registry.tell(EventKind::Mount, &Target { from, size, ..Target::named(name, digest.as_str()) });
        }
        return Ok(created(name, &digest));
    }
    let digest = parameter(&uri, "digest").map(|text| digest(&text)).transpose()?;
    let algorithm = match (&digest, parameter(&uri, "digest-algorithm")) {
        (Some(digest), _) => digest.algorithm(),
        (None, Some(asked)) => Algorithm::parse(&asked).ok_or_else(|| Failure::algorithm_unsupported(&asked))?,
        (None, None) => Algorithm::default(),
    };
    let store = registry.store.clone();
    let writer = blocking(move || store.writer_with(algorithm)).await?;
    if let Some(digest) = digest {
        let room = registry.room(name, Some(&digest)).await?;
        let turn = Upload::new(writer).take_turn()?.write(request.into_body(), room.as_ref()).await?;
        return commit(registry, name, &digest, turn).await;
    }
    let id = registry.uploads.begin(name, registry.holder(), writer)?;
    Ok(progress(StatusCode::ACCEPTED, name, &id, 0))
}

/// Adds a chunk.
pub(crate) async fn append(
    registry: &Registry,
    name: &str,
    id: &str,
    request: Request<Body>,
) -> Result<Response, Failure> {
    let upload = registry.uploads.find(name, id)?;
    let turn = upload.take_turn()?;
    if !is_next(request.headers(), upload.size())? {
        return Ok(progress(StatusCode::RANGE_NOT_SATISFIABLE, name, id, upload.size()));
    }
    let room = registry.room(name, None).await?;
    drop(turn.write(request.into_body(), room.as_ref()).await?);
    Ok(progress(StatusCode::ACCEPTED, name, id, upload.size()))
}

/// Adds the last chunk, if there is one, and makes the blob visible if its digest is right.
pub(crate) async fn finish(
    registry: &Registry,
    name: &str,
    id: &str,
    request: Request<Body>,
) -> Result<Response, Failure> {
    let text = parameter(request.uri(), "digest");
    let digest = digest(&text.ok_or_else(|| Failure::digest_invalid("the parameter `digest` is missing"))?)?;
    let upload = registry.uploads.find(name, id)?;
    let turn = upload.take_turn()?;
    if !is_next(request.headers(), upload.size())? {
        return Ok(progress(StatusCode::RANGE_NOT_SATISFIABLE, name, id, upload.size()));
    }
    let room = registry.room(name, Some(&digest)).await?;
    let turn = turn.write(request.into_body(), room.as_ref()).await?;
    registry.uploads.end(id);
    commit(registry, name, &digest, turn).await
}

/// Tells how much of an upload is here.
pub(crate) fn status(registry: &Registry, name: &str, id: &str) -> Result<Response, Failure> {
    let upload = registry.uploads.find(name, id)?;
    Ok(progress(StatusCode::NO_CONTENT, name, id, upload.size()))
}

/// Gives an upload up.
pub(crate) fn cancel(registry: &Registry, name: &str, id: &str) -> Result<Response, Failure> {
    registry.uploads.find(name, id)?;
    registry.uploads.end(id);
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error: registry_client::DigestError| Failure::digest_invalid(error.to_string()))
}

/// Tells whether a chunk begins where the upload ends; one that does not say where it begins does.
fn is_next(headers: &HeaderMap, size: u64) -> Result<bool, Failure> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(true) };
    let text = range.to_str().unwrap_or_default();
    // Some clients write `bytes 0-9/10`, as HTTP has it.
    let plain = text.strip_prefix("bytes ").unwrap_or(text).split('/').next().unwrap_or_default();
    let bounds = plain.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let malformed =
        || Failure::upload_invalid(format!("Content-Range is `{text}`: first-last is expected, as in 0-99"));
    let (first, last): (u64, u64) = bounds.ok_or_else(malformed)?;
    if first != size {
        return Ok(false);
    }
    let sent = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let said = last.checked_sub(first).and_then(|length| length.checked_add(1)).ok_or_else(malformed)?;
    match sent.filter(|sent| *sent != said) {
        Some(sent) => {
            Err(Failure::size_invalid(format!("Content-Range `{text}` has {said} bytes, the body has {sent}")))
        }
        None => Ok(true),
    }
}

async fn commit(registry: &Registry, name: &str, digest: &Digest, turn: Turn) -> Result<Response, Failure> {
    let writer = turn.finish()?;
    let expected = digest.clone();
    blocking(move || writer.commit_expecting(&expected)).await?;
    admit(registry, name, digest).await?;
    Ok(created(name, digest))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_begins_where_the_upload_ends() {
        let asked = |range: &str, length: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, range.parse().unwrap());
            headers.insert(header::CONTENT_LENGTH, length.parse().unwrap());
            is_next(&headers, 10)
        };
        assert!(is_next(&HeaderMap::new(), 10).unwrap());
        assert!(asked("10-19", "10").unwrap() && asked("bytes 10-19/20", "10").unwrap());
        assert!(!asked("0-9", "10").unwrap() && !asked("11-19", "9").unwrap());
        for bad in ["x", "10-", "10-9", "-1", "10"] {
            assert!(asked(bad, "1").is_err(), "{bad}");
        }
        assert!(asked("10-19", "5").is_err(), "the length is another");
        assert!(asked("10-18446744073709551615", "5").is_err());
    }
}
