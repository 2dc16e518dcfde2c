//! GitHub and GitHub Enterprise: deliveries and commit statuses.

mod deliveries;
mod statuses;

pub use deliveries::{PushText, headers, read};
pub use statuses::status;
