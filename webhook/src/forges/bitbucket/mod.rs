//! Bitbucket, in the cloud and on one's own machines (Data Center): deliveries, commit statuses, webhooks.

mod deliveries;
mod hooks;
mod statuses;

pub use deliveries::{headers, read};
pub use hooks::{cloud_hooks, data_center_hooks};
pub use statuses::{cloud_status, data_center_status};
