//! The service itself: version, health, metrics, and the identity of the caller.

use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::BuildState;
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
    Ok(service.readiness.check(&service.database).await?.into_response())
}

/// Returns counts for Prometheus.
pub async fn metrics(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    caller.may_read()?;
    let database = &service.database;
    let (workers, counts) = (database.workers().await?, database.counts().await?);
    let mut text = String::new();
    let mut one = |name, help, kind, value: i64| metric(&mut text, (name, help, kind), [(String::new(), value)]);
    one("slipway_queue_length", "Builds that wait for a worker", "gauge", database.queue_length().await?);
    one("slipway_queue_paused", "Whether the queue is paused", "gauge", database.is_queue_paused().await?.into());
    let longest = counts.longest_wait_ms / 1000;
    one("slipway_queue_longest_wait_seconds", "How long the first of them has waited", "gauge", longest);
    one("slipway_workers", "Worker processes heard of lately", "gauge", workers.len() as i64);
    let slots = workers.iter().map(|worker| worker.slots).sum();
    one("slipway_worker_slots", "Builds that they run at once", "gauge", slots);
    let (deliveries, triggers) = (load(&service.counters.deliveries), load(&service.counters.triggers));
    one("slipway_deliveries_total", "Deliveries stored by this process", "counter", deliveries);
    one("slipway_triggers_total", "Triggers stored by this process", "counter", triggers);
    let by_state = |counts: &[(BuildState, i64)]| {
        counts.iter().map(|(state, count)| (format!("{{state=\"{}\"}}", state.as_str()), *count)).collect::<Vec<_>>()
    };
    metric(&mut text, ("slipway_builds", "Builds that wait or run", "gauge"), by_state(&counts.open));
    metric(&mut text, ("slipway_builds_ended_total", "Builds that ended", "counter"), by_state(&counts.ended));
    let removed = database.removals().await?;
    let by_what = [
        ("builds", removed.builds()),
        ("logs", removed.of("logs")),
        ("deliveries", removed.of("deliveries")),
        ("delivery_bodies", removed.of("delivery_bodies")),
        ("notices", removed.of("notices")),
        ("traces", removed.of("traces")),
    ];
    let labelled = by_what.map(|(what, amount)| (format!("{{what=\"{what}\"}}"), amount));
    metric(&mut text, ("slipway_removed_total", "Records that retention removed", "counter"), labelled);
    let by_what = [("logs", removed.of("log_bytes")), ("delivery_bodies", removed.of("delivery_bytes"))];
    let labelled = by_what.map(|(what, amount)| (format!("{{what=\"{what}\"}}"), amount));
    metric(&mut text, ("slipway_removed_bytes_total", "Bytes that retention removed", "counter"), labelled);
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// Writes a metric with its values by their labels.
fn metric(text: &mut String, (name, help, kind): (&str, &str, &str), values: impl IntoIterator<Item = (String, i64)>) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

fn load(counter: &std::sync::atomic::AtomicI64) -> i64 {
    counter.load(Ordering::Relaxed)
}
