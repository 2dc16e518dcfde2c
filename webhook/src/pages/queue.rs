//! The page of the queue: the order of queued builds, the reason why each waits, workers; pausing and resuming.

use super::form::button;
use super::live;
use super::moment::time;
use super::page::{Live, Page, admit};
use super::words::{awaited, count, seconds, shown_ref};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use database::QueuedBuild;
use maud::{Markup, html};

/// Builds on the page.
const MAX_LISTED: u32 = 100;

/// The queue as a caller sees it.
struct Queue {
    seen: Vec<QueuedBuild>,
    length: i64,
    is_paused: bool,
    workers: i64,
    slots: i64,
}

impl Queue {
    async fn read(service: &Service, caller: &Caller) -> Result<Queue, Problem> {
        let database = &service.database;
        let mut seen = database.queue(MAX_LISTED).await?;
        seen.retain(|build| caller.sees(&build.repository));
        let workers = database.workers().await?;
        Ok(Queue {
            seen,
            length: database.queue_length().await?,
            is_paused: database.is_queue_paused().await?,
            workers: workers.len() as i64,
            slots: workers.iter().map(|worker| worker.slots).sum(),
        })
    }

    fn version(&self) -> String {
        let of = |build: &QueuedBuild| format!("{} {:?};", build.id.as_str(), build.place.position);
        let all: String = self.seen.iter().map(of).collect();
        live::version(&format!("{all} {} {} {} {}", self.length, self.is_paused, self.workers, self.slots))
    }
}

/// Shows the queue, or streams when it changes.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&caller)?;
    if live::is_wanted(&headers) {
        let seen = service.clone();
        return Ok(live::follow(&service, move || {
            let (service, caller) = (seen.clone(), caller.clone());
            async move { Ok(Queue::read(&service, &caller).await?.version()) }
        }));
    }
    let queue = Queue::read(&service, &caller).await?;
    let content = html! {
        div #list data-part data-version=(queue.version()) {
            div.head { h1 { "Queue" } (switch(&caller, queue.is_paused)) }
            @if queue.is_paused { p.notice.hold { "The queue is paused: what runs goes on, nothing new begins." } }
            p { (count(queue.length, "build")) " waiting; " (count(queue.workers, "worker")) " with " (count(queue.slots, "slot")) "." }
            @if queue.seen.is_empty() { p.empty { "Nothing waits." } } @else { (table(&queue.seen)) }
        }
    };
    Ok(Page { title: "Queue", part: "Queue", viewer: Some(&caller), mark: None, live: Live::List }.around(&content))
}

fn switch(caller: &Caller, is_paused: bool) -> Markup {
    if !caller.may_everywhere(crate::configuration::settings::Scope::Admin) {
        return html! {};
    }
    if is_paused {
        button(caller, "/queue/resume", &html! { button.first { "Resume" } })
    } else {
        button(caller, "/queue/pause", &html! { button { "Pause" } })
    }
}

fn table(queued: &[QueuedBuild]) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "#" } th { "Repository" } th { "Rule" } th { "Ref" } th { "Waits for" } th.num { "Since" } th.num { "Done in" } } }
            tbody {
                @for build in queued {
                    tr {
                        td { @if let Some(position) = build.place.position { (position) } }
                        td { a.go href=(format!("/builds/{}", build.id.as_str())) { (plain(build.repository.as_bytes())) } }
                        td { (plain(build.rule.as_bytes())) }
                        td { (shown_ref(&build.git_ref)) }
                        td.wide { (awaited(build.place.waiting_for)) }
                        td.num { (time(build.created_ms)) }
                        td.num { @if let Some(eta) = build.place.eta_ms { (seconds(eta)) } }
                    }
                }
            }
        }
    }
}
