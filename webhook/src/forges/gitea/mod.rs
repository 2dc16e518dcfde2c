//! Gitea, Forgejo and Gogs: deliveries and, but for Gogs, commit statuses.

mod comments;
mod deliveries;
mod hooks;

pub(crate) use crate::forges::github::status;
/// Gitea and Forgejo take GitHub's statuses at the same path.
pub(crate) use comments::comments;
pub(crate) use deliveries::{HEADERS, headers, read};
pub(crate) use hooks::hooks;
