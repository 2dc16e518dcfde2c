//! GitHub and GitHub Enterprise: deliveries, commit statuses, and the App with its check runs.

mod app;
mod app_tokens;
mod check_requests;
mod checks;
mod client;
mod comments;
mod deliveries;
mod hook_log;
mod hooks;
mod statuses;

pub(crate) use app::App;
pub(crate) use app_tokens::{AppTokens, Purpose};
pub(crate) use check_requests::{EVENTS as CHECK_EVENTS, may_push};
pub(crate) use checks::publish as publish_check;
pub(crate) use client::GithubClient;
pub(crate) use comments::comments;
pub(crate) use deliveries::{headers, read, read_change};
pub(crate) use hook_log::{APP_HOOK, app_faults, repository_id, sent};
pub(crate) use hooks::hooks;
pub(crate) use statuses::status;
