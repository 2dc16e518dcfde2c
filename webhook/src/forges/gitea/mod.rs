//! Gitea, Forgejo and Gogs: deliveries and, but for Gogs, commit statuses.

mod deliveries;
mod hooks;
mod statuses;

pub use deliveries::{HEADERS, headers, read};
pub use hooks::hooks;
pub use statuses::status;
