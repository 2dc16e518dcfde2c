//! HTTP as this program speaks it: connections of its servers, and the client that calls webhooks.

mod connection;
mod listen;
mod webhook_client;

pub(crate) use listen::listen;
pub(crate) use webhook_client::WebhookClient;
