//! GitLab: deliveries and commit statuses.

mod comments;
mod deliveries;
mod hook_log;
mod hooks;
mod statuses;

pub(crate) use comments::comments;
pub(crate) use deliveries::{headers, read};
pub(crate) use hook_log::sent;
pub(crate) use hooks::hooks;
pub(crate) use statuses::{is_already_told, status, with_merge_ref};
