//! Forges: how each signs its deliveries and what they say. One small file per forge.

mod bitbucket;
mod forge;
mod gitea;
mod github;
mod github_status;
mod gitlab;
mod pull_request;
mod signature;
mod status;

pub use forge::{Event, Forge, Headers, Identity, Message, Pull, Push};
pub use github_status::GithubStatuses;
pub use signature::{Proof, Signed, json_of};
pub use status::{Status, StatusApi, StatusError, StatusState};
