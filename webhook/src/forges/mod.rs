//! Forges: how each signs its deliveries and what they say, and how each is told of builds. One folder per forge.

mod apps;
mod bitbucket;
mod check;
mod client;
mod clone_logins;
pub(crate) mod comments;
mod forge;
mod generic;
mod gitea;
mod github;
mod gitlab;
mod hook_log;
mod hooks;
pub(crate) mod made_apps;
mod pull_request;
mod repository_id;
mod repository_name;
mod signature;
mod status;

pub(crate) use check::{Annotation, Check, CheckAction, CheckRequest};
pub(crate) use client::{CallError, Exchanges, ForgeClient};
pub use client::{Exchange, ForgeAnswer, ForgeRequest};
pub use clone_logins::CloneLogins;
pub(crate) use comments::Comment;
pub(crate) use forge::{Event, Forge, Headers, Identity, Message, Pull, Push};
pub(crate) use github::{APP_HOOK, App, CHECK_EVENTS, Purpose, app_faults, may_push, publish_check, repository_id};
pub(crate) use hook_log::{HookLog, Sent, deliver_again, read_log};
pub(crate) use hooks::{Connected, Hook, connect, look};
pub(crate) use repository_name::current_name;
pub(crate) use signature::{Proof, Signed, json_of};
pub(crate) use status::{Status, StatusState, max_description, publish};
