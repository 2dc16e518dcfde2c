//! Documents: repositories and rules as they are written, read strictly and compiled into what the service works with.

mod compile;
mod diagnostics;
mod duration;
mod model;
mod own_rules;
mod read;
mod strict;
mod values;
mod webhooks;

pub(crate) use compile::{RuleDefaults, check_name, check_part, check_repository_name, check_values, compile, rules};
pub use diagnostics::nearest;
pub(crate) use diagnostics::{did_you_mean, explain};
pub(crate) use duration::milliseconds;
pub(crate) use model::{Autotest, Priority, PullRequests, RepositoryDocument, RuleDocument};
pub(crate) use own_rules::own_rules;
pub(crate) use read::{ReadError, from_json, from_toml};
pub(crate) use values::{check_host, check_key, check_platforms};
pub(crate) use webhooks::{Format, Webhook};
