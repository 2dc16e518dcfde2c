//! What the service does by itself, beside requests: each file has one loop.

pub mod base_images;
pub mod commit_statuses;
pub mod missed_pushes;
pub mod notify;
pub mod retention;
pub mod rules_fetch;
pub mod schedules;
