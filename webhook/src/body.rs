//! Bodies of requests: read whole, within limits of size and time.

use crate::document::from_json;
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest body that is taken: GitHub sends no larger ones.
const MAX_BODY: usize = 25 * 1024 * 1024;
/// Largest document.
const MAX_DOCUMENT: usize = 1024 * 1024;
/// How long a body may take to arrive, all of it.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Reads a delivery.
pub async fn delivery(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    whole(headers, body, MAX_BODY).await
}

/// Reads a document and returns its bytes too; no body is an empty document.
pub async fn document<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<(T, Bytes), Problem> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body must not be compressed",
        ));
    }
    let bytes = whole(headers, body, MAX_DOCUMENT).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    Ok((from_json(text)?, bytes))
}

async fn whole(headers: &HeaderMap, body: Body, most: usize) -> Result<Bytes, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large(most));
    }
    match tokio::time::timeout(BODY_TIME, collect(body, most)).await {
        Ok(collected) => collected,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            format!("the body did not arrive within {} seconds", BODY_TIME.as_secs()),
        )),
    }
}

async fn collect(body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut collected = BytesMut::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::bad("body_incomplete", "the body ended too early"))?;
        if collected.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected.freeze())
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("at most {most} bytes are taken"))
}
