//! The page of the queue: what runs where, what waits for what and for how long, workers; pausing, resuming, draining.

use super::form::button;
use super::live;
use super::moment::time;
use super::page::{Live, Page, admit};
use super::words::{awaited, count, seconds, shown_ref};
use super::workers::{self, Running};
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use database::{QueuedBuild, WaitingFor, WorkerRecord};
use maud::{Markup, html};

/// Builds on the page.
const MAX_LISTED: u32 = 100;

/// The queue as a caller sees it.
struct Queue {
    seen: Vec<QueuedBuild>,
    length: i64,
    is_paused: bool,
    running: Vec<Running>,
    workers: Vec<WorkerRecord>,
}

impl Queue {
    async fn read(service: &Service, caller: &Caller) -> Result<Queue, Problem> {
        let database = &service.database;
        let mut seen = database.queue(MAX_LISTED).await?;
        seen.retain(|build| caller.sees(&build.repository));
        Ok(Queue {
            seen,
            length: database.queue_length().await?,
            is_paused: database.is_queue_paused().await?,
            running: database.running_builds().await?,
            workers: database.workers().await?,
        })
    }

    fn version(&self) -> String {
        let waiting = |build: &QueuedBuild| format!("{} {:?};", build.id.as_str(), build.place.position);
        let running = |(build, _): &Running| format!("{} {};", build.id.as_str(), build.state.as_str());
        let worker = |worker: &WorkerRecord| format!("{} {} {};", worker.name, worker.slots, worker.is_drained);
        let parts: [String; 3] = [
            self.seen.iter().map(waiting).collect(),
            self.running.iter().map(running).collect(),
            self.workers.iter().map(worker).collect(),
        ];
        live::version(&format!("{parts:?} {} {}", self.length, self.is_paused))
    }

    fn figures(&self) -> Markup {
        let slots: i64 = self.workers.iter().filter(|worker| !worker.is_drained).map(|worker| worker.slots).sum();
        let workers = self.workers.len() as i64;
        html! {
            p { (count(self.length, "build")) " waiting; " (count(workers, "worker")) " with " (count(slots, "slot")) "." }
        }
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
    let (held, waiting): (Vec<&QueuedBuild>, Vec<&QueuedBuild>) =
        queue.seen.iter().partition(|build| build.place.waiting_for == WaitingFor::Approval);
    let content = html! {
        div #list data-part data-version=(queue.version()) {
            div.head { h1 { "Queue" } (switch(&caller, queue.is_paused)) }
            @if queue.is_paused { p.notice.hold { "The queue is paused: what runs goes on, nothing new begins." } }
            (queue.figures())
            (workers::running(&caller, &queue.running))
            h2 { "Waiting" }
            @if waiting.is_empty() { p.empty { "Nothing waits." } } @else { (table(&waiting)) }
            @if !held.is_empty() { h2 { "Needs approval" } (table(&held)) }
            (workers::list(&caller, &queue.workers, &queue.running))
            @if caller.may_everywhere(Scope::Admin) { p.hint { a href="/disk" { "What takes up room on the disk" } } }
        }
    };
    Ok(Page { title: "Queue", part: "Queue", viewer: Some(&caller), mark: None, live: Live::List }.around(&content))
}

fn switch(caller: &Caller, is_paused: bool) -> Markup {
    if !caller.may_everywhere(Scope::Admin) {
        return html! {};
    }
    if is_paused {
        button(caller, "/queue/resume", &html! { button.first { "Resume" } })
    } else {
        button(caller, "/queue/pause", &html! { button { "Pause" } })
    }
}

fn table(queued: &[&QueuedBuild]) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "#" } th { "Repository" } th { "Rule" } th { "Ref" } th { "Waits for" } th.num { "Since" } th.num { "Begins in" } th.num { "Done in" } } }
            tbody { @for build in queued { (row(build)) } }
        }
    }
}

fn row(build: &QueuedBuild) -> Markup {
    let place = &build.place;
    html! {
        tr {
            td { @if let Some(position) = place.position { (position) } }
            td { a.go href=(format!("/builds/{}", build.id.as_str())) { (plain(build.repository.as_bytes())) } }
            td { (plain(build.rule.as_bytes())) }
            td { (shown_ref(&build.git_ref)) }
            td.wide {
                (awaited(place.waiting_for))
                @if let Some(ahead) = place.ahead.last().filter(|_| place.waiting_for != WaitingFor::Approval) {
                    ", after " a href=(format!("/builds/{}", ahead.as_str())) { "this build" }
                }
                @if build.priority != 0 { span.dim { @if build.priority > 0 { ", before others" } @else { ", after all others" } } }
            }
            td.num { (time(build.created_ms)) }
            td.num { @if let Some(begin) = place.starts_in_ms { (seconds(begin)) } }
            td.num { @if let Some(eta) = place.eta_ms { (seconds(eta)) } }
        }
    }
}
