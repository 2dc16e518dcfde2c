//! Lists that change: a stream that says when, for the script that then fetches the page again and puts in what is new.

use crate::http::problem::Problem;
use crate::http::state::Service;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc::channel;
use tokio_stream::wrappers::ReceiverStream;

/// How often a silent stream shows that it lives.
const PING: Duration = Duration::from_secs(15);
/// Least time between two looks at a list.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a stream lasts: the browser then asks again, and who may see the list is checked again.
const LIFE: Duration = Duration::from_secs(300);

/// Tells whether a request is for the stream.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|value| value.contains("text/event-stream"))
}

/// Returns a short text that stands for a longer one.
pub(crate) fn version(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..8])
}

/// Sends the version that `look` returns, at once and whenever it has changed.
pub(crate) fn follow<F, Looked>(service: &Service, look: F) -> Response
where
    F: Fn() -> Looked + Send + 'static,
    Looked: Future<Output = Result<String, Problem>> + Send,
{
    let (sender, receiver) = channel::<Result<Event, Infallible>>(1);
    // The watch begins before the list is read, so that no change is missed.
    let mut watch = service.database.watch_builds();
    let told = async move {
        let mut seen: Option<String> = None;
        loop {
            let Ok(found) = look().await else { return };
            let is_new = seen.as_ref() != Some(&found);
            let event = Event::default().event("version").data(&found);
            if is_new && sender.send(Ok(event)).await.is_err() {
                return;
            }
            seen = Some(found);
            tokio::time::sleep(PAUSE).await;
            tokio::select! {
                () = watch.changed() => {}
                () = sender.closed() => return,
            }
        }
    };
    tokio::spawn(async move {
        let _ = tokio::time::timeout(LIFE, told).await;
    });
    let stream = Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(PING).text("ping"));
    ([(header::CACHE_CONTROL, "no-store"), (header::HeaderName::from_static("x-accel-buffering"), "no")], stream)
        .into_response()
}
