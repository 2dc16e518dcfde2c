//! Pages for people: builds, one build, repositories, the queue, deliveries. They work without scripts; with them a log is
//! followed live.

pub mod asset;
pub mod build;
pub mod builds;
pub mod deliveries;
pub mod explain;
mod moment;
mod page;
pub mod problem;
pub mod queue;
pub mod repositories;
mod webhooks;
