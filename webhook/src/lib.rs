//! The service: HTTP for people and forges, from a delivery to its builds, and the API and pages that show them.
//!
//! It runs no command, unpacks no file and reads no Dockerfile: it stores what it accepts, and workers take it from there.
#![forbid(unsafe_code)]

mod api;
mod background;
mod configuration;
mod forges;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod http;
mod intake;
mod pages;
mod people;
mod router;
mod rules;
pub mod view;

pub use background::base_images::rebuild_on_new_bases;
pub use background::commit_statuses::publish_statuses;
pub use background::groups::build_targets;
pub use background::links::follow_links;
pub use background::missed_pushes::find_missed_pushes;
pub use background::notify::{Outgoing, Post, Posted, notify_webhooks, register_webhooks};
pub use background::pull_comments::publish_pull_comments;
pub use background::registry_notifications::notify_endpoints;
pub use background::retention::run_retention;
pub use background::rules_fetch::expand_fetched_rules;
pub use background::schedules::run_schedules;
pub use configuration::document::nearest;
pub use configuration::{
    Configuration, ConfigurationError, Hub, Limits, Login, MirrorSection, Notification, NotificationEvent,
    QuotaSection, Registry, RegistrySection, Retention, RetentionSection, Sandbox, Scope, Server, Settings, Token,
};
pub use forges::{CloneLogins, Exchange, ForgeAnswer, ForgeRequest};
pub use http::readiness::Readiness;
pub use http::token;
pub use pages::registry_images::{DeletedRegistryTag, RegistryImages, RegistryRepository, RegistryTag};
pub use router::router;
pub use view::terminal::{Sanitizer, sanitize, sanitize_output};
