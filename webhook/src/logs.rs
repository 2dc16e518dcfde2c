//! `GET /v1/builds/{id}/logs`: text, or server-sent events that follow a build and resume where they stopped.

use crate::Service;
use crate::builds::find;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use database::{BuildId, BuildState, Database};
use futures::stream::{Stream, unfold};
use serde_json::json;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

/// Bytes that are read from the database at once.
const CHUNK: usize = 256 * 1024;
/// How often a running build's log is looked at.
const LOOK: Duration = Duration::from_millis(150);
/// How often a silent stream shows that it lives.
const PING: Duration = Duration::from_secs(15);

/// Sends the log.
pub async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let build = find(&service, &headers, &id).await?;
    let wants_events = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"));
    let mut response = if wants_events {
        let resumed = headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|id| id.parse().ok());
        let events = events(service.database, build.id, resumed.unwrap_or(0));
        Sse::new(events).keep_alive(KeepAlive::new().interval(PING).text("ping")).into_response()
    } else {
        let body = Body::from_stream(text(service.database, build.id));
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn text(database: Database, id: BuildId) -> impl Stream<Item = io::Result<Bytes>> {
    unfold((database, id, 0i64), |(database, id, from)| async move {
        match database.logs(&id, from, CHUNK).await {
            Ok(chunks) if chunks.is_empty() => None,
            Ok(chunks) => {
                let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.text).collect();
                let next = from + bytes.len() as i64;
                Some((Ok(Bytes::from(bytes)), (database, id, next)))
            }
            Err(error) => Some((Err(io::Error::other(error)), (database, id, i64::MAX))),
        }
    })
}

/// Where a stream of events is.
struct Following {
    database: Database,
    id: BuildId,
    from: i64,
    state: Option<BuildState>,
    waiting: Vec<Event>,
    ended: bool,
}

/// Sends `log` events, whose ids are byte positions after them, `state` events, and `end`.
fn events(database: Database, id: BuildId, from: i64) -> impl Stream<Item = Result<Event, Infallible>> {
    let following = Following { database, id, from, state: None, waiting: Vec::new(), ended: false };
    unfold(following, |mut following| async move {
        loop {
            if !following.waiting.is_empty() {
                let event = following.waiting.remove(0);
                return Some((Ok(event), following));
            }
            if following.ended || following.advance().await.is_err() {
                return None;
            }
        }
    })
}

impl Following {
    /// Collects what is new, or waits a moment.
    async fn advance(&mut self) -> Result<(), database::Error> {
        // The state is read before the log: what was printed before the end is sent before it.
        let build = self.database.build(&self.id).await?;
        let state = build.as_ref().map(|build| build.state);
        let chunks = self.database.logs(&self.id, self.from, CHUNK).await?;
        let nothing_new = chunks.is_empty();
        for chunk in chunks {
            self.from = chunk.offset + chunk.text.len() as i64;
            let data = json!({ "step": chunk.step, "text": String::from_utf8_lossy(&chunk.text) });
            self.waiting.push(Event::default().event("log").id(self.from.to_string()).data(data.to_string()));
        }
        if state != self.state {
            self.state = state;
            if let Some(state) = state {
                self.waiting.push(Event::default().event("state").data(json!({ "state": state.as_str() }).to_string()));
            }
        }
        let over = state.is_none_or(BuildState::has_ended);
        if over && nothing_new {
            let state = state.map(BuildState::as_str);
            self.waiting.push(Event::default().event("end").data(json!({ "state": state }).to_string()));
            self.ended = true;
        } else if self.waiting.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
