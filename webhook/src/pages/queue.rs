//! The page of the queue: the order of queued builds, and the reason why each waits.

use super::moment::time;
use super::page::{Page, admit, awaited, count, seconds, shown_ref};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::State;
use axum::response::Response;
use maud::html;

/// Builds on the page.
const MAX_LISTED: u32 = 100;

/// Shows the queue.
pub async fn show(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    admit(&caller)?;
    let database = &service.database;
    let (queued, length, paused) =
        (database.queue(MAX_LISTED).await?, database.queue_length().await?, database.is_queue_paused().await?);
    let workers = database.workers().await?;
    let slots = workers.iter().map(|worker| worker.slots).sum();
    let seen: Vec<_> = queued.iter().filter(|build| caller.sees(&build.repository)).collect();
    let content = html! {
        h1 { "Queue" }
        @if paused { p.notice { "The queue is paused." } }
        p { (count(length, "build")) " waiting; " (count(workers.len() as i64, "worker")) " with " (count(slots, "slot")) "." }
        @if seen.is_empty() { p.empty { "Nothing waits." } } @else {
            table {
                thead { tr { th { "#" } th { "Repository" } th { "Rule" } th { "Ref" } th { "Waits for" } th { "Since" } th { "Done in" } } }
                tbody {
                    @for build in &seen {
                        tr {
                            td { @if let Some(position) = build.place.position { (position) } }
                            td { a href=(format!("/builds/{}", build.id.as_str())) { (plain(build.repository.as_bytes())) } }
                            td { (plain(build.rule.as_bytes())) }
                            td { (shown_ref(&build.git_ref)) }
                            td.wide { (awaited(build.place.waiting_for)) }
                            td { (time(build.created_ms)) }
                            td.number { @if let Some(eta) = build.place.eta_ms { (seconds(eta)) } }
                        }
                    }
                }
            }
        }
    };
    Ok(Page { title: "Queue", part: "Queue", changes: !seen.is_empty() }.around(&content))
}
