//! GitHub and GitHub Enterprise: deliveries and commit statuses.

mod client;
mod deliveries;
mod hooks;
mod statuses;

pub use client::GithubClient;
pub use deliveries::{headers, read, read_change};
pub use hooks::hooks;
pub use statuses::status;
