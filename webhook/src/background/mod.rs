//! Background tasks: each file has one loop that runs until the server stops.

pub mod base_images;
pub mod commit_statuses;
pub mod missed_pushes;
pub mod notify;
pub mod retention;
pub mod rules_fetch;
pub mod schedules;
