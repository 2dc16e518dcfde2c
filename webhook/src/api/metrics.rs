//! `GET /metrics`: counts for Prometheus, in the OpenMetrics text format.

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use database::{BuildState, Counts};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicI64, Ordering};

/// The one label of a metric that has several values.
type Label = [(&'static str, &'static str); 1];

/// Sends all metrics; those of the database are read for each request.
pub(crate) async fn show(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    caller.may_read()?;
    let mut registry = Registry::default();
    let counts = service.database.counts().await?;
    add_queue(&mut registry, &service, &counts).await?;
    add_stored(&mut registry, &service);
    add_builds(&mut registry, &counts);
    add_removals(&mut registry, &service).await?;
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = encode(&mut text, &registry);
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}

async fn add_queue(registry: &mut Registry, service: &Service, counts: &Counts) -> Result<(), Problem> {
    let database = &service.database;
    let workers = database.workers().await?;
    let mut gauge = |name, help, value: i64| registry.register(name, help, ConstGauge::new(value));
    gauge("slipway_queue_length", "Builds that wait for a worker", database.queue_length().await?);
    gauge("slipway_queue_paused", "Whether the queue is paused", database.is_queue_paused().await?.into());
    let longest = counts.longest_wait_ms / 1000;
    gauge("slipway_queue_longest_wait_seconds", "How long the first of them has waited", longest);
    gauge("slipway_workers", "Worker processes heard of lately", workers.len() as i64);
    let slots = workers.iter().map(|worker| worker.slots).sum();
    gauge("slipway_worker_slots", "Builds that they run at once", slots);
    Ok(())
}

fn add_stored(registry: &mut Registry, service: &Service) {
    let mut counter = |name, help, value: &AtomicI64| {
        registry.register(name, help, ConstCounter::new(count(value.load(Ordering::Relaxed))));
    };
    counter("slipway_deliveries", "Deliveries stored by this process", &service.counters.deliveries);
    counter("slipway_triggers", "Triggers stored by this process", &service.counters.triggers);
}

fn add_builds(registry: &mut Registry, counts: &Counts) {
    let of = |counts: &[(BuildState, i64)], state: BuildState| {
        counts.iter().find(|(known, _)| *known == state).map_or(0, |(_, number)| *number)
    };
    let (open, ended) = (Family::<Label, Gauge>::default(), Family::<Label, Counter>::default());
    // A state without builds is 0, so that a series does not begin with its first build.
    for state in BuildState::all() {
        let label = [("state", state.as_str())];
        if state.has_ended() {
            ended.get_or_create(&label).inc_by(count(of(&counts.ended, state)));
        } else {
            open.get_or_create(&label).set(of(&counts.open, state));
        }
    }
    registry.register("slipway_builds", "Builds that wait or run", open);
    registry.register("slipway_builds_ended", "Builds that ended", ended);
}

async fn add_removals(registry: &mut Registry, service: &Service) -> Result<(), Problem> {
    let removed = service.database.removals().await?;
    let records = Family::<Label, Counter>::default();
    records.get_or_create(&[("what", "builds")]).inc_by(count(removed.builds()));
    for what in ["logs", "deliveries", "delivery_bodies", "notifications", "traces", "registry_changes"] {
        records.get_or_create(&[("what", what)]).inc_by(count(removed.of(what)));
    }
    registry.register("slipway_removed", "Records that retention removed", records);
    let bytes = Family::<Label, Counter>::default();
    for (what, name) in [("logs", "log_bytes"), ("delivery_bodies", "delivery_bytes")] {
        bytes.get_or_create(&[("what", what)]).inc_by(count(removed.of(name)));
    }
    registry.register("slipway_removed_bytes", "Bytes that retention removed", bytes);
    Ok(())
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
