//! `GET /v1/builds/{id}/logs`: text, lines of JSON, parts of it, or server-sent events that resume where they stopped.

use super::{events, range};
use crate::api::builds::find;
use crate::api::query::query;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::service::LogLine;
use crate::view::time::moment;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use database::{BuildId, Database, LogChunk};
use futures::stream::{Stream, unfold};
use serde::Deserialize;
use std::io;

/// Bytes that are read from the database at once.
pub(super) const CHUNK: usize = 64 * 1024;
/// Bytes of a tail that are kept before its beginning is cut off.
const MAX_KEPT: usize = 4 * 1024 * 1024;
/// Most lines of a tail.
const MAX_TAIL: usize = 10_000;

/// Which part of a log, and how.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogQuery {
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
pub(crate) async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    wanted: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = query(wanted)?;
    let build = find(&service, &caller, &id).await?;
    if build.log_removed_ms.is_some() {
        return Err(Problem::new(Code::LogRemoved, Problem::removed("the log of this build")));
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut response = if text("accept").is_some_and(|accept| accept.contains("text/event-stream")) {
        let from = text("last-event-id").and_then(|id| id.parse().ok()).or(wanted.since_offset).unwrap_or(0).max(0);
        events::follow(service.database, build.id, from, events::Told::Log(wanted.step))
    } else if let Some(lines) = wanted.tail {
        let log = Log { database: service.database, id: build.id, step: wanted.step };
        let chunks = log.tail(wanted.since_offset.unwrap_or(0), lines.min(MAX_TAIL)).await?;
        let format = wanted.format.unwrap_or(Format::Text);
        ([(header::CONTENT_TYPE, format.media_type())], Body::from(written(&chunks, format))).into_response()
    } else if let Some(range) = text("range").filter(|_| wanted.is_whole_text()).and_then(range::parse) {
        let log = Log { database: service.database, id: build.id, step: None };
        range::answer(&log, range).await?
    } else {
        let log = Log { database: service.database, id: build.id, step: wanted.step };
        let format = wanted.format.unwrap_or(Format::Text);
        let body = Body::from_stream(log.stream(wanted.since_offset.unwrap_or(0).max(0), format));
        ([(header::CONTENT_TYPE, format.media_type()), (header::ACCEPT_RANGES, "bytes")], body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl LogQuery {
    /// Tells whether the request is for the plain log, which alone has ranges.
    fn is_whole_text(&self) -> bool {
        self.step.is_none() && self.since_offset.is_none() && self.format.is_none_or(|format| format == Format::Text)
    }
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; charset=utf-8",
            Format::Ndjson => "application/x-ndjson",
        }
    }
}

/// The log of a build, or of one of its steps.
pub(super) struct Log {
    database: Database,
    id: BuildId,
    step: Option<i64>,
}

impl Log {
    /// Returns what follows byte `from`, and the byte after it; nothing at the end.
    pub(super) async fn part(&self, from: i64) -> Result<Option<(Vec<LogChunk>, i64)>, database::Error> {
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
    async fn tail(&self, from: i64, lines: usize) -> Result<Vec<LogChunk>, Problem> {
        let (mut from, mut kept) = (from.max(0), Vec::new());
        let mut bytes = 0;
        while let Some((chunks, next)) = self.part(from).await? {
            bytes += chunks.iter().map(|chunk| chunk.text.len()).sum::<usize>();
            kept.extend(chunks);
            if bytes > MAX_KEPT {
                kept = last_lines(kept, lines);
                bytes = kept.iter().map(|chunk| chunk.text.len()).sum();
            }
            from = next;
        }
        Ok(last_lines(kept, lines))
    }
}

fn written(chunks: &[LogChunk], format: Format) -> Bytes {
    let mut bytes = Vec::new();
    for chunk in chunks {
        match format {
            Format::Text => bytes.extend_from_slice(&chunk.text),
            Format::Ndjson => {
                let line = LogLine {
                    offset: chunk.offset,
                    step: chunk.step,
                    at: moment(chunk.at_ms),
                    text: String::from_utf8_lossy(&chunk.text).into_owned(),
                };
                bytes.extend(serde_json::to_vec(&line).unwrap_or_default());
                bytes.push(b'\n');
            }
        }
    }
    Bytes::from(bytes)
}

/// Returns the chunks that hold the last lines, the first of them cut to where these begin.
fn last_lines(chunks: Vec<LogChunk>, lines: usize) -> Vec<LogChunk> {
    if lines == 0 {
        return Vec::new();
    }
    let ends_line = chunks.last().is_some_and(|chunk| chunk.text.ends_with(b"\n"));
    // The break at the very end closes the last line rather than beginning another.
    let mut breaks = lines + usize::from(ends_line);
    let mut kept = Vec::new();
    for mut chunk in chunks.into_iter().rev() {
        let found = chunk.text.iter().rposition(|byte| {
            breaks -= usize::from(*byte == b'\n');
            breaks == 0
        });
        if let Some(position) = found {
            chunk.text.drain(..=position);
            chunk.offset += position as i64 + 1;
        }
        if !chunk.text.is_empty() {
            kept.push(chunk);
        }
        if found.is_some() {
            break;
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::{LogChunk, last_lines};

    fn tail(texts: &[&str], lines: usize) -> Vec<(i64, String)> {
        let mut offset = 0;
        let chunks = texts.iter().map(|text| {
            let chunk = LogChunk { offset, step: None, text: text.as_bytes().to_vec(), at_ms: 0 };
            offset += text.len() as i64;
            chunk
        });
        let kept = last_lines(chunks.collect(), lines);
        kept.into_iter().map(|chunk| (chunk.offset, String::from_utf8(chunk.text).unwrap())).collect()
    }

    #[test]
    fn the_last_lines_are_found() {
        let one = |offset, text: &str| vec![(offset, text.to_owned())];
        assert_eq!(tail(&["a\nb\nc\n"], 1), one(4, "c\n"));
        assert_eq!(tail(&["a\nb\nc\n"], 2), one(2, "b\nc\n"));
        assert_eq!(tail(&["a\nb\nc\n"], 9), one(0, "a\nb\nc\n"));
        assert_eq!((tail(&["a\n"], 0), tail(&[], 3), tail(&[""], 3)), (vec![], vec![], vec![]));
        assert_eq!(tail(&["a\nb"], 1), one(2, "b"));
        // US-11: lines may end in other chunks than they begin in.
        assert_eq!(
            tail(&["a\nb", "c", "\nd\n"], 2),
            [(2, "b".to_owned()), (3, "c".to_owned()), (4, "\nd\n".to_owned())]
        );
        assert_eq!(tail(&["a\n", "b\n"], 1), one(2, "b\n"));
    }
}
