//! Builds images from commits: source, cache, execution, layers, and the worker that claims builds.
//!
//! Knows no forge and no HTTP server, and never learns why it builds.
#![forbid(unsafe_code)]

mod build;
mod change;
mod check;
pub mod context;
pub mod copy;
mod duration;
mod epoch;
mod error;
pub mod event;
pub mod execute;
mod explain;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod git;
mod hub;
pub mod image;
mod key;
pub mod layer;
mod outline;
mod platforms;
mod request;
mod same;
pub mod secrets;
mod semaphore;
mod services;
mod size;
pub mod trace;
pub mod walk;
pub mod worker;

pub use build::{Built, PlannedBuild};
pub use change::change_config;
pub use check::{Checked, check};
pub use context::NamedImage;
pub(crate) use epoch::SOURCE_DATE_EPOCH;
pub use epoch::{COMMIT_FILES, settle_epoch};
pub use error::{Code, Error, FailedStep, Fault};
pub use execute::LocalImages;
pub use image::assemble::{Form, Image};
pub use image::local::{hold, keep, unpack};
pub use image::push::{TagOrder, Unordered};
pub use outline::{Answer, outline, targets};
pub use platforms::{Platforms, build};
pub use request::{Earlier, Request};
pub use services::Services;
pub use size::parse_size;
