//! What is to be known of the service itself: version, health, metrics, and who one is to it.

use crate::Service;
use crate::access::Caller;
use crate::problem::Problem;
use crate::settings::Scope;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// Returns the version.
pub async fn version() -> Response {
    axum::Json(json!({ "name": "slipway", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// Says who the caller is.
pub async fn whoami(caller: Caller) -> Result<Response, Problem> {
    caller.may_read()?;
    let known = caller.token.as_ref();
    let scopes = known.map(|token| token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>());
    let repositories = known.map(|token| &token.repositories).filter(|names| !names.is_empty());
    Ok(axum::Json(json!({
        "token": known.map(|token| &token.name), "anonymous": known.is_none(),
        "scopes": scopes.unwrap_or_else(|| vec![Scope::Read.as_str()]), "repositories": repositories,
    }))
    .into_response())
}

/// Says whether the process answers at all.
pub async fn alive() -> Response {
    "ok\n".into_response()
}

/// Says whether deliveries would be accepted now.
pub async fn ready(State(service): State<Service>) -> Result<Response, Problem> {
    service.readiness.check(&service.database).await?;
    Ok("ready\n".into_response())
}

/// Returns counts for Prometheus.
pub async fn metrics(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    caller.may_read()?;
    let database = &service.database;
    let workers = database.workers().await?;
    let gauges = [
        ("slipway_queue_length", "Builds that wait", "gauge", database.queue_length().await?),
        ("slipway_queue_paused", "Whether the queue is paused", "gauge", i64::from(database.is_queue_paused().await?)),
        ("slipway_workers", "Worker processes heard of lately", "gauge", workers.len() as i64),
        (
            "slipway_worker_slots",
            "Builds that they run at once",
            "gauge",
            workers.iter().map(|worker| worker.slots).sum(),
        ),
        (
            "slipway_deliveries_total",
            "Deliveries stored by this process",
            "counter",
            load(&service.counters.deliveries),
        ),
        ("slipway_triggers_total", "Triggers stored by this process", "counter", load(&service.counters.triggers)),
    ];
    let mut text = String::new();
    for (name, help, kind, value) in gauges {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

fn load(counter: &std::sync::atomic::AtomicI64) -> i64 {
    counter.load(Ordering::Relaxed)
}
