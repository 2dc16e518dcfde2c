//! Bake: texts of bake files and compose files, with variables, to the targets that are built, as `docker buildx bake`
//! resolves them. Everything here is pure: nobody reads a file, the environment or the clock.
#![forbid(unsafe_code)]

mod blocks;
mod compose;
mod csv;
mod entries;
mod error;
mod evaluate;
mod functions;
mod json;
mod module;
mod overrides;
mod place;
mod print;
mod resolve;
mod syntax;
mod target;
mod types;
mod value;
mod variable;
pub mod yaml;

pub use blocks::Definitions;
pub use compose::{Condition, GrantedFile, Healthcheck, Service, ServiceBuild, Volume, services};
pub use entries::{Entry, Secret, Ssh};
pub use error::Error;
pub use functions::Facts;
pub use module::Settings;
pub use resolve::{File, Request, Resolved, define, is_path, resolve};
pub use target::{Group, Target};
