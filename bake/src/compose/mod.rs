//! Compose files: each service with a build is a target, and each service something that a test runs.

mod build;
mod document;
mod environment;
mod granted;
mod interpolate;
mod services;
mod words;

pub(crate) use build::add;
pub use granted::GrantedFile;
pub use services::{Condition, Healthcheck, Service, ServiceBuild, Volume, services};
