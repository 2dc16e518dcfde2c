//! Background tasks: each file has one loop that runs until the server stops.

pub(crate) mod base_images;
pub(crate) mod commit_statuses;
pub(crate) mod groups;
pub(crate) mod links;
pub(crate) mod markdown;
pub(crate) mod missed_pushes;
pub(crate) mod notify;
pub(crate) mod pull_comments;
pub(crate) mod registry_notifications;
pub(crate) mod retention;
pub(crate) mod rules_fetch;
pub(crate) mod schedules;
