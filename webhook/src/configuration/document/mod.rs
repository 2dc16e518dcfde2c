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

pub use compile::{check_name, check_repository_name, check_values, compile, rules};
pub use diagnostics::{did_you_mean, explain, nearest};
pub use duration::milliseconds;
pub use model::{Priority, PullRequests, RepositoryDocument, RuleDocument};
pub use own_rules::own_rules;
pub use read::{ReadError, from_json, from_toml};
pub use values::{check_host, check_key, check_platforms};
pub use webhooks::{Format, Webhook};
