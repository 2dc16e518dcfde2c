//! The plan of a build: which stages, which steps, with every name resolved and every variable expanded.
//!
//! Planning is pure: a parsed Dockerfile, the settings of the build and the configurations of the base images go in, a
//! [`Plan`] comes out. It runs nothing and reads nothing.

mod assign;
mod bases;
mod config;
mod configure;
mod copies;
mod cycle;
mod environment;
mod error;
mod frontend;
mod given;
mod globals;
mod graph;
mod history;
mod lint;
mod model;
mod mounts;
mod outline;
mod platform;
mod reads;
mod settings;
mod stage;
mod walk;

pub use bases::{Base, BaseImage, BaseImages, Needed, image_hint};
pub use error::{Code, Error, Location};
pub use frontend::HOSTNAME;
pub use given::Given;
pub use globals::global;
pub use lint::Lint;
pub use model::{Action, Copy, From, InlineFile, Mount, MountKind, Plan, Planned, Run, Source, Stage, Step};
pub use outline::{Argument, Lines, Outline, OutlineMount, description};
pub use reads::Reads;
pub use settings::Settings;
pub use walk::Scope;

#[cfg(test)]
mod tests;
