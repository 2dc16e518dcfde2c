//! `/v1/queue`: who is next, what each waits for, and pausing it.

use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::time::moment;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use database::{BuildId, QueuePlace, WaitingFor};
use serde_json::{Value, json};

/// Builds that are shown.
const MAX_SHOWN: u32 = 200;

/// Shows the queue in the order in which it is likely to be worked off.
pub async fn show(State(service): State<Service>, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    caller.may_read()?;
    let database = &service.database;
    let (queued, length) = (database.queue(MAX_SHOWN).await?, database.queue_length().await?);
    let builds: Vec<Value> = queued
        .iter()
        .filter(|build| caller.sees(&build.repository))
        .map(|build| {
            let mut shown = place(&build.place);
            shown["id"] = build.id.as_str().into();
            shown["repo"] = build.repository.as_str().into();
            shown["rule"] = build.rule.as_str().into();
            shown["ref"] = build.git_ref.as_str().into();
            shown["priority"] = build.priority.into();
            shown["created_at"] = moment(build.created_ms).into();
            shown
        })
        .collect();
    let workers = database.workers().await?;
    Ok(answer::document(
        &headers,
        &json!({
            "paused": database.is_queue_paused().await?, "length": length, "builds": builds,
            "workers": workers.iter().map(|worker| json!({ "name": worker.name, "slots": worker.slots })).collect::<Vec<_>>(),
        }),
    ))
}

/// Returns a place in the queue as the API shows it.
pub fn place(place: &QueuePlace) -> Value {
    json!({
        "position": place.position,
        "ahead": place.ahead.iter().map(BuildId::as_str).collect::<Vec<_>>(),
        "waiting_for": waiting_for(place.waiting_for),
        "starts_in_seconds": place.starts_in_ms.map(seconds),
        "eta_seconds": place.eta_ms.map(seconds),
    })
}

/// Returns what a build waits for as a stable word.
pub fn waiting_for(waiting_for: WaitingFor) -> &'static str {
    match waiting_for {
        WaitingFor::Slot => "slot",
        WaitingFor::SerialGroup => "serial_group",
        WaitingFor::Backoff => "backoff",
        WaitingFor::Resume => "resume",
        WaitingFor::Approval => "approval",
    }
}

fn seconds(milliseconds: i64) -> i64 {
    (milliseconds + 999) / 1000
}

/// Stops giving out builds; what runs goes on, what comes is queued.
pub async fn pause(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    service.database.pause_queue().await?;
    tracing::info!("the queue was paused");
    Ok(axum::Json(json!({ "paused": true })).into_response())
}

/// Gives out builds again.
pub async fn resume(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    service.database.resume_queue().await?;
    tracing::info!("the queue was resumed");
    Ok(axum::Json(json!({ "paused": false })).into_response())
}
