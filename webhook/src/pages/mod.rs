//! Pages for people: builds, one build, repositories, the queue, deliveries, and the sign-in. They work without scripts;
//! with them, lists and logs are followed live.

pub(crate) mod actions;
mod ansi;
pub(crate) mod asset;
pub(crate) mod build;
mod build_head;
pub(crate) mod builds;
pub(crate) mod deliveries;
pub(crate) mod explain;
mod form;
mod links;
mod live;
mod mark;
mod moment;
mod page;
pub(crate) mod problem;
pub(crate) mod queue;
pub(crate) mod repositories;
mod rows;
pub(crate) mod sign_in;
mod step_log;
mod timeline;
mod webhooks;
mod words;
