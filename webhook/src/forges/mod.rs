//! Forges: how each signs its deliveries and what they say, and how each is told of builds. One folder per forge.

mod bitbucket;
mod client;
mod forge;
mod generic;
mod gitea;
mod github;
mod gitlab;
mod hooks;
mod pull_request;
mod signature;
mod status;

pub use client::{CallError, Exchange, Exchanges, ForgeAnswer, ForgeClient, ForgeRequest};
pub use forge::{Event, Forge, Headers, Identity, Message, Pull, Push};
pub use hooks::{Connected, Hook, connect};
pub use signature::{Proof, Signed, json_of};
pub use status::{Status, StatusState, max_description, publish};
