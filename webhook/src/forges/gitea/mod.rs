//! Gitea, Forgejo and Gogs: deliveries and, but for Gogs, commit statuses.

mod deliveries;
mod hooks;

/// Gitea and Forgejo take GitHub's statuses at the same path.
pub(crate) use crate::forges::github::status;
pub(crate) use deliveries::{HEADERS, headers, read};
pub(crate) use hooks::hooks;
