//! Forges: how each signs its deliveries and what they say. One small file per forge.

mod bitbucket;
mod forge;
mod gitea;
mod github;
mod gitlab;
mod pull_request;
mod signature;

pub use forge::{Event, Forge, Headers, Identity, Message, Pull, Push};
pub use signature::{Proof, Signed, json_of};
