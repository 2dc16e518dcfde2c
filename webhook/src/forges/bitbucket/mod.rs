//! Bitbucket, in the cloud and on one's own machines (Data Center): deliveries, commit statuses.

mod deliveries;
mod statuses;

pub use deliveries::{headers, read};
pub use statuses::{cloud_status, data_center_status};
