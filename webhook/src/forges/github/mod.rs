//! GitHub and GitHub Enterprise: deliveries and commit statuses.

mod client;
mod deliveries;
mod hooks;
mod statuses;

pub(crate) use client::GithubClient;
pub(crate) use deliveries::{headers, read, read_change};
pub(crate) use hooks::hooks;
pub(crate) use statuses::status;
