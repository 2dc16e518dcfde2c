//! Webhook deliveries: repositories' webhooks are notified of builds.

mod body;
mod dispatcher;

pub use dispatcher::{Outgoing, Post, Posted, notify_webhooks, register_webhooks};
pub(crate) use dispatcher::{explained, signature, timed_signature, verdict};
