//! Bitbucket, in the cloud and on one's own machines (Data Center): deliveries, commit statuses, webhooks.

mod comments;
mod deliveries;
mod hook_log;
mod hooks;
mod statuses;

pub(crate) use comments::{cloud_comments, data_center_comments};
pub(crate) use deliveries::{headers, read};
pub(crate) use hook_log::data_center_sent;
pub(crate) use hooks::{cloud_hooks, data_center_hooks};
pub(crate) use statuses::{cloud_status, data_center_status};
