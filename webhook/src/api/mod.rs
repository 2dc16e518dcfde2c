//! The REST API, one file per resource. Every error is a problem with a stable code, every `GET` has an `ETag`.

pub(crate) mod approvals;
pub(crate) mod badges;
pub(crate) mod builds;
pub(crate) mod connect;
pub(crate) mod deliveries;
pub(crate) mod deploy_key;
pub(crate) mod dockerhub;
pub(crate) mod explain;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod named;
pub(crate) mod openapi;
mod operations;
pub(crate) mod query;
pub(crate) mod queue;
pub(crate) mod reconcile;
pub(crate) mod registry;
pub(crate) mod repositories;
pub(crate) mod rules;
pub(crate) mod secrets;
pub(crate) mod service;
pub(crate) mod triggers;
pub(crate) mod usage;
pub(crate) mod webhooks;
pub(crate) mod worker_queries;
