//! A log as server-sent events: `log` with the byte after it as id, `state`, and `end`.
//!
//! A reader that does not read is dropped after a while and resumes by `Last-Event-ID`; until then it costs a few events.

use super::log::CHUNK;
use crate::view::service::{LogEvent, StateEvent};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use database::{BuildId, BuildState, Database, Step};
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

/// How often a silent stream shows that it lives.
const PING: Duration = Duration::from_secs(15);
/// Events that wait for a reader.
const WAITING: usize = 4;
/// How long a reader may take for them.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Follows a build from byte `from` of its log on.
pub(crate) fn follow(database: Database, id: BuildId, from: i64, told: Told) -> Response {
    let (sender, receiver) = channel(WAITING);
    let follower = Follower { database, id, from, told, state: None, steps: None, sender };
    tokio::spawn(follower.run());
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(PING).text("ping")).into_response()
}

/// The part of a build that a stream tells of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told {
    /// Its state, and what all steps or one print.
    Log(Option<i64>),
    /// That, and when steps change, as a page wants to know.
    Page,
}

struct Follower {
    database: Database,
    id: BuildId,
    from: i64,
    told: Told,
    state: Option<BuildState>,
    /// The steps as they were, for a page.
    steps: Option<Vec<Step>>,
    sender: Sender<Result<Event, Infallible>>,
}

impl Follower {
    async fn run(mut self) {
        // The watch begins before the log is read, so that no change is missed.
        let mut watch = self.database.watch_build(&self.id);
        loop {
            match self.advance().await {
                Some(Progress::Some) => {}
                Some(Progress::None) => {
                    tokio::select! {
                        () = watch.changed() => {}
                        () = self.sender.closed() => return,
                    }
                }
                None => return,
            }
        }
    }

    /// Sends new parts of the log; `None` at the end, or when the reader is gone.
    async fn advance(&mut self) -> Option<Progress> {
        // The state is read before the log: what was printed before the end is sent before it.
        let state = self.database.build(&self.id).await.ok()?.map(|build| build.state);
        let chunks = self.database.logs(&self.id, self.from, CHUNK).await.ok()?;
        let nothing_new = chunks.is_empty();
        for chunk in chunks {
            self.from = chunk.offset + chunk.text.len() as i64;
            if !matches!(self.told, Told::Log(Some(step)) if chunk.step != Some(step)) {
                let text = String::from_utf8_lossy(&chunk.text).into_owned();
                let event = event("log", &LogEvent { step: chunk.step, text });
                self.send(event.id(self.from.to_string())).await?;
            }
        }
        let changed = state != self.state;
        self.tell_of_steps().await?;
        self.state = state;
        let data = StateEvent { state: state.map(|state| state.as_str().to_owned()) };
        if changed && state.is_some() {
            self.send(event("state", &data)).await?;
        }
        if nothing_new && state.is_none_or(BuildState::has_ended) {
            self.send(event("end", &data)).await?;
            return None;
        }
        Some(if nothing_new && !changed { Progress::None } else { Progress::Some })
    }

    /// Says to a page that its steps are others than before.
    async fn tell_of_steps(&mut self) -> Option<()> {
        if !matches!(self.told, Told::Page) {
            return Some(());
        }
        let steps = Some(self.database.steps(&self.id).await.ok()?);
        if self.steps != steps {
            self.steps = steps;
            self.send(Event::default().event("steps").data("changed")).await?;
        }
        Some(())
    }

    async fn send(&self, event: Event) -> Option<()> {
        self.sender.send_timeout(Ok(event), TIMEOUT).await.ok()
    }
}

enum Progress {
    None,
    Some,
}

fn event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}
