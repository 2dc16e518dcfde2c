//! GitLab: deliveries and commit statuses.

mod deliveries;
mod hooks;
mod statuses;

pub use deliveries::{headers, read};
pub use hooks::hooks;
pub use statuses::{is_already_told, status, with_merge_ref};
