//! GitLab: deliveries and commit statuses.

mod deliveries;
mod statuses;

pub use deliveries::{headers, read};
pub use statuses::{is_already_told, status};
