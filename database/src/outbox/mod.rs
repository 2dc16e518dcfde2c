//! The outbox: commit statuses and webhook deliveries, written in the transaction of the change that they report.

pub(crate) mod commit_status;
pub(crate) mod pull_comment;
pub(crate) mod registry_notification;
pub(crate) mod retry;
pub(crate) mod rules_status;
pub(crate) mod status_refusal;
pub(crate) mod webhook;
pub(crate) mod webhook_delivery;
