//! `GET /v1/builds/{id}/logs`: text, lines of JSON, parts of it, or server-sent events that resume where they stopped.

mod events;
mod log;
mod range;

pub(crate) use events::{Told, follow};
pub(crate) use log::show;
