//! The REST API, one file per resource. Every error is a problem with a stable code, every `GET` has an `ETag`.

pub mod approvals;
pub mod badges;
pub mod builds;
pub mod connect;
pub mod deliveries;
pub mod dockerhub;
pub mod explain;
pub mod logs;
pub mod metrics;
pub mod named;
pub mod openapi;
mod operations;
pub mod query;
pub mod queue;
pub mod reconcile;
pub mod registry;
pub mod repositories;
pub mod rules;
pub mod secrets;
pub mod service;
pub mod triggers;
pub mod usage;
pub mod webhooks;
pub mod worker_queries;
