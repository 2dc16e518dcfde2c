//! Builds without a push: `POST /v1/repos/{namespace}/{name}/builds`, and Docker Hub's trigger URLs by the same means.

mod overrides;
pub(crate) mod own;
mod plan;
mod request;
mod trigger;

pub(crate) use request::{TriggerRequest, checked_commit, full_refs};
pub(crate) use trigger::{Once, ask, every_rule, queue, store, trigger};
