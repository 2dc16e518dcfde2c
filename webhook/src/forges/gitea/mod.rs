//! Gitea, Forgejo and Gogs: deliveries and, but for Gogs, commit statuses.

mod deliveries;
mod hooks;

/// Gitea and Forgejo take GitHub's statuses at the same path.
pub use crate::forges::github::status;
pub use deliveries::{HEADERS, headers, read};
pub use hooks::hooks;
