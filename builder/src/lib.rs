//! Builds images from commits: source, Dockerfile, plan, cache, execution, layers, and the worker that claims builds.
//!
//! Knows no forge and no HTTP server, and never learns why it builds.
#![forbid(unsafe_code)]

pub mod annotation;
mod build;
mod cache;
mod change;
mod check;
pub mod context;
pub mod copy;
pub mod dockerfile;
mod epoch;
mod error;
pub mod event;
pub mod execute;
mod explain;
mod glob;
pub mod ignore;
mod inherited;
mod kept;
mod key;
pub mod layer;
pub mod leak;
mod limit;
pub mod mask;
mod named;
mod outline;
pub mod output;
mod pattern;
pub mod plan;
mod platforms;
mod push;
mod resolve;
mod result;
mod served;
pub mod source;
pub mod trace;
pub mod tree;
pub mod view;
pub mod walk;
pub mod worker;

pub use build::{Built, DockerfileText, Prepared, Request, build};
pub use change::change_config;
pub use check::{Checked, check};
pub use epoch::{COMMIT_FILES, settle_epoch};
pub use error::{Error, FailedStep};
pub use kept::{Kept, keep, unpack};
pub use named::NamedImage;
pub use outline::{Answer, outline, targets};
pub use platforms::{Platforms, build_platforms};
pub use push::{TagOrder, Unordered};
pub use result::{Form, Image};

/// What every build of a process shares.
#[derive(Clone)]
pub struct Services {
    /// Blobs, tags and layer indexes.
    pub store: image_store::Store,
    /// Talks to registries.
    pub client: registry_client::Client,
    /// Holds the cache index.
    pub database: database::Database,
    /// Runs what is asynchronous on behalf of the build's threads.
    pub tokio: tokio::runtime::Handle,
    /// How containers are confined.
    pub sandbox: runtime::Settings,
}
