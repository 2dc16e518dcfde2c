//! `GET /v1/builds/{id}/logs`: text, lines of JSON, parts of it, or server-sent events that resume where they stopped.

mod events;
mod range;

use crate::Service;
use crate::access::Caller;
use crate::api::builds::{find, moment};
use crate::api::query;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use database::{BuildId, Database, LogChunk};
use futures::stream::{Stream, unfold};
use serde::Deserialize;
use serde_json::json;
use std::io;

/// Bytes that are read from the database at once.
const CHUNK: usize = 64 * 1024;
/// Most lines of a tail.
const MAX_TAIL: usize = 10_000;

/// Which part of a log, and how.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// Only what this step printed.
    step: Option<i64>,
    /// Only the last lines.
    tail: Option<usize>,
    /// Only from this byte on.
    since_offset: Option<i64>,
    /// `text` or `ndjson`.
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Text,
    Ndjson,
}

/// Sends the log.
pub async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = query(wanted)?;
    let build = find(&service, &caller, &id).await?;
    if build.log_removed_ms.is_some() {
        return Err(Problem::new(StatusCode::GONE, "log_removed", Problem::removed("the log of this build")));
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut response = if text("accept").is_some_and(|accept| accept.contains("text/event-stream")) {
        let from = text("last-event-id").and_then(|id| id.parse().ok()).or(wanted.since_offset).unwrap_or(0).max(0);
        events::follow(service.database, build.id, from, wanted.step)
    } else if let Some(lines) = wanted.tail {
        let log = Log { database: service.database, id: build.id, step: wanted.step };
        plain(Body::from(log.tail(wanted.since_offset.unwrap_or(0), lines.min(MAX_TAIL)).await?))
    } else if let Some(range) = text("range").filter(|_| wanted.step.is_none()).and_then(range::parse) {
        let log = Log { database: service.database, id: build.id, step: None };
        range::answer(&log, range).await?
    } else {
        let log = Log { database: service.database, id: build.id, step: wanted.step };
        let format = wanted.format.unwrap_or(Format::Text);
        let body = Body::from_stream(log.stream(wanted.since_offset.unwrap_or(0).max(0), format));
        let kind = if format == Format::Text { "text/plain; charset=utf-8" } else { "application/x-ndjson" };
        ([(header::CONTENT_TYPE, kind), (header::ACCEPT_RANGES, "bytes")], body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn plain(body: Body) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// The log of a build, or of one of its steps.
struct Log {
    database: Database,
    id: BuildId,
    step: Option<i64>,
}

impl Log {
    /// Returns what follows byte `from`, and the byte after it; nothing at the end.
    async fn part(&self, from: i64) -> Result<Option<(Vec<LogChunk>, i64)>, database::Error> {
        let mut chunks = self.database.logs(&self.id, from, CHUNK).await?;
        let Some(last) = chunks.last() else { return Ok(None) };
        let next = last.offset + last.text.len() as i64;
        if let Some(step) = self.step {
            chunks.retain(|chunk| chunk.step == Some(step));
        }
        Ok(Some((chunks, next)))
    }

    fn stream(self, from: i64, format: Format) -> impl Stream<Item = io::Result<Bytes>> {
        unfold((self, from), move |(log, from)| async move {
            match log.part(from).await {
                Ok(None) => None,
                Ok(Some((chunks, next))) => Some((Ok(written(&chunks, format)), (log, next))),
                Err(error) => Some((Err(io::Error::other(error)), (log, i64::MAX))),
            }
        })
    }

    /// Returns the last lines; a log is read from its start, but only so much of it is kept.
    async fn tail(&self, from: i64, lines: usize) -> Result<Vec<u8>, Problem> {
        let (mut from, mut kept) = (from.max(0), Vec::new());
        while let Some((chunks, next)) = self.part(from).await? {
            chunks.iter().for_each(|chunk| kept.extend_from_slice(&chunk.text));
            if kept.len() > 4 * 1024 * 1024 {
                kept = last_lines(&kept, lines).to_vec();
            }
            from = next;
        }
        Ok(last_lines(&kept, lines).to_vec())
    }
}

fn written(chunks: &[LogChunk], format: Format) -> Bytes {
    let mut bytes = Vec::new();
    for chunk in chunks {
        match format {
            Format::Text => bytes.extend_from_slice(&chunk.text),
            Format::Ndjson => {
                let line = json!({
                    "offset": chunk.offset, "step": chunk.step, "at": moment(chunk.at_ms), "text": String::from_utf8_lossy(&chunk.text),
                });
                bytes.extend_from_slice(line.to_string().as_bytes());
                bytes.push(b'\n');
            }
        }
    }
    Bytes::from(bytes)
}

fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let breaks = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(position, _)| position);
    match breaks.take(lines).nth(lines.saturating_sub(1)) {
        _ if lines == 0 => &[],
        Some(position) => &text[position + 1..],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_found() {
        let text = b"a\nb\nc\n";
        assert_eq!(last_lines(text, 1), b"c\n");
        assert_eq!(last_lines(text, 2), b"b\nc\n");
        assert_eq!((last_lines(text, 9), last_lines(text, 0), last_lines(b"", 3)), (&text[..], &b""[..], &b""[..]));
        assert_eq!(last_lines(b"a\nb", 1), b"b");
    }
}
