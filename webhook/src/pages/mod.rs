//! Pages for people: builds, one build, repositories, the queue, deliveries, and the sign-in. They work without scripts;
//! with them, lists and logs are followed live.

pub mod actions;
mod ansi;
pub mod asset;
pub mod build;
mod build_head;
pub mod builds;
pub mod deliveries;
pub mod explain;
mod form;
mod links;
mod live;
mod mark;
mod moment;
mod page;
pub mod problem;
pub mod queue;
pub mod repositories;
mod rows;
pub mod sign_in;
mod step_log;
mod timeline;
mod webhooks;
mod words;
