//! Webhook deliveries: what webhooks of repositories are told of builds.

mod body;
mod dispatcher;

pub use dispatcher::{Outgoing, Post, Posted, register_webhooks, tell_webhooks};
