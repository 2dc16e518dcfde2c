//! Executes a plan: stages side by side, each step from the cache or by running it, each layer packed beside the next step.

mod ahead;
mod blocking;
mod cache;
mod cancellable;
mod check_sources;
mod copy;
mod copy_request;
mod copy_source;
mod definition_keys;
mod download;
mod dry_run;
mod emulation;
mod key;
mod layer;
mod making;
mod mount;
mod offered;
mod once_value;
mod options;
mod pack;
mod plan_keys;
mod pointed;
mod progress;
#[cfg(test)]
mod remembered;
mod resources;
mod run;
mod schedule;
mod selections;
mod snapshot;
mod sources;
mod stage;
mod state;
mod unfetched;
mod vouch;

pub use cache::Cache;
pub use cancellable::{Cancellable, Unanswered, ask, until_cancelled};
pub(crate) use copy_request::{copy_request, escaped, mount_request};
pub(crate) use definition_keys::stages_of;
pub use download::download;
pub use layer::{Committed, Layer};
pub use options::{LocalImages, Options, OwnImages};
pub use resources::BuildResources;
pub(crate) use selections::SELECTIONS;
pub use sources::{SourceImage, Sources};
pub use state::{CacheStatus, Execution, OnLayer, StageLayers};
