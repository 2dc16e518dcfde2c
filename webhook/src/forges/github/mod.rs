//! GitHub and GitHub Enterprise: deliveries and commit statuses.

mod client;
mod deliveries;
mod hooks;
mod statuses;

pub use client::GithubClient;
pub use deliveries::{PushText, headers, read};
pub use hooks::hooks;
pub use statuses::status;
