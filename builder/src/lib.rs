//! Builds images from commits: source, cache, execution, layers, and the worker that claims builds.
//!
//! Knows no forge and no HTTP server, and never learns why it builds.
#![forbid(unsafe_code)]

mod build;
mod cache;
mod check;
pub mod context;
pub mod copy;
mod duration;
mod epoch;
mod error;
pub mod event;
pub mod execute;
mod explain;
pub mod image;
mod kept;
mod key;
pub mod layer;
mod outline;
mod platforms;
pub mod secrets;
mod served;
pub mod source;
pub mod trace;
pub mod walk;
pub mod worker;

pub use build::{Built, PlannedBuild, Request, build};
pub use check::{Checked, check};
pub use epoch::{COMMIT_FILES, settle_epoch};
pub use error::{Error, FailedStep};
pub use image::assemble::{Form, Image};
pub use image::layout::NamedImage;
pub use image::push::{TagOrder, Unordered};
pub use kept::{Kept, keep};
pub use outline::{Answer, outline, targets};
pub use platforms::{Platforms, build_platforms};

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
