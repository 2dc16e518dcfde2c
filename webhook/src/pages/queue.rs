//! The queue: who is next, and what each waits for.

use super::{Page, admit, plain, seconds, shown_ref, time};
use crate::Service;
use crate::access::Caller;
use crate::api::queue::waiting_for;
use crate::problem::Problem;
use axum::extract::State;
use axum::response::Response;
use maud::html;

/// Builds on the page.
const LISTED: u32 = 100;

/// Shows the queue.
pub async fn show(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    admit(&caller)?;
    let database = &service.database;
    let (queued, length, paused) =
        (database.queue(LISTED).await?, database.queue_length().await?, database.is_queue_paused().await?);
    let workers = database.workers().await?;
    let seen: Vec<_> = queued.iter().filter(|build| caller.sees(&build.repository)).collect();
    let content = html! {
        h1 { "Queue" }
        @if paused { p.notice { "The queue is paused." } }
        p { (length) " waiting; " (workers.len()) " workers with " (workers.iter().map(|worker| worker.slots).sum::<i64>()) " slots." }
        @if seen.is_empty() { p.empty { "Nobody waits." } } @else {
            table {
                thead { tr { th { "#" } th { "Repository" } th { "Rule" } th { "Ref" } th { "Waits for" } th { "Since (UTC)" } th { "Done in" } } }
                tbody {
                    @for build in &seen {
                        tr {
                            td { @if let Some(position) = build.place.position { (position) } }
                            td { a href=(format!("/builds/{}", build.id.as_str())) { (plain(build.repository.as_bytes())) } }
                            td { (plain(build.rule.as_bytes())) }
                            td { (shown_ref(&build.git_ref)) }
                            td { (waiting_for(build.place.waiting_for).replace('_', " ")) }
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
