//! Bodies of requests: read within limits of size and time.

use crate::configuration::document::from_json;
use crate::http::problem::Problem;
use crate::view::code::Code;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::Instant;

/// Largest delivery that is taken: GitHub sends no larger ones.
pub(crate) const MAX_BODY: usize = 25 * 1024 * 1024;
/// Largest document.
const MAX_DOCUMENT: usize = 1024 * 1024;
/// Largest document of somebody who need not be known.
const MAX_SMALL_DOCUMENT: usize = 128 * 1024;
/// How long a body may take to arrive, all of it.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes the parts of a body.
pub(crate) trait Sink {
    /// Waits until there is room for so many bytes.
    async fn ready(&mut self, coming: usize) -> Result<(), Problem>;

    /// Takes a part.
    async fn take(&mut self, chunk: Bytes) -> Result<(), Problem>;
}

/// Discards the parts of a body.
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    async fn ready(&mut self, _coming: usize) -> Result<(), Problem> {
        Ok(())
    }

    async fn take(&mut self, _chunk: Bytes) -> Result<(), Problem> {
        Ok(())
    }
}

impl Sink for BytesMut {
    async fn ready(&mut self, _coming: usize) -> Result<(), Problem> {
        Ok(())
    }

    async fn take(&mut self, chunk: Bytes) -> Result<(), Problem> {
        self.extend_from_slice(&chunk);
        Ok(())
    }
}

/// Reads a document and returns its bytes too; no body is an empty document.
pub(crate) async fn document<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<(T, Bytes), Problem> {
    read_document(headers, body, MAX_DOCUMENT).await
}

/// Reads a document of somebody who need not be known: many of them at once must not take the memory.
pub(crate) async fn small_document<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<(T, Bytes), Problem> {
    read_document(headers, body, MAX_SMALL_DOCUMENT).await
}

/// Reads a form.
pub(crate) async fn form(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    whole(headers, body, MAX_SMALL_DOCUMENT).await
}

async fn read_document<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Result<(T, Bytes), Problem> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Code::UnsupportedMediaType, "the body must not be compressed"));
    }
    let bytes = whole(headers, body, max).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    Ok((from_json(text)?, bytes))
}

async fn whole(headers: &HeaderMap, body: Body, max: usize) -> Result<Bytes, Problem> {
    check_length(headers, max)?;
    let mut collected = BytesMut::new();
    each_chunk(body, max, &mut collected).await?;
    Ok(collected.freeze())
}

/// Refuses a body that is announced to be too long, before any of it is read.
pub(crate) fn check_length(headers: &HeaderMap, max: usize) -> Result<(), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max as u64) { Err(too_large(max)) } else { Ok(()) }
}

/// Reads a body of at most `max` bytes part by part, within the time that it may take.
pub(crate) async fn each_chunk(body: Body, max: usize, sink: &mut impl Sink) -> Result<(), Problem> {
    let (mut length, mut left) = (0, BODY_TIMEOUT);
    let mut stream = body.into_data_stream();
    loop {
        // Only the sender's time counts: what is done with the parts is this server's.
        let waiting = Instant::now();
        let chunk = tokio::time::timeout(left, stream.next()).await.map_err(|_| too_slow())?;
        left = left.saturating_sub(waiting.elapsed());
        let Some(chunk) = chunk else { return Ok(()) };
        let chunk = chunk.map_err(|_| Problem::new(Code::BodyIncomplete, "the body ended too early"))?;
        length += chunk.len();
        if length > max {
            return Err(too_large(max));
        }
        sink.ready(chunk.len()).await?;
        sink.take(chunk).await?;
    }
}

fn too_slow() -> Problem {
    let detail = format!("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs());
    Problem::new(Code::BodyTooSlow, detail)
}

fn too_large(max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("at most {max} bytes are taken"))
}
