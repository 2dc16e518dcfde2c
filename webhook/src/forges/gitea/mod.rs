//! Gitea, Forgejo and Gogs: deliveries and, but for Gogs, commit statuses.

mod deliveries;
mod statuses;

pub use deliveries::{HEADERS, headers, read};
pub use statuses::status;
