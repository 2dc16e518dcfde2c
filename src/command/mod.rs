//! The commands, one file each.

mod approve;
mod arguments;
mod bake;
mod build;
mod cancel;
mod check;
pub(crate) mod completion;
mod container;
mod deliveries;
mod explain;
mod findings;
mod forge_deliveries;
mod image;
mod import;
mod local_database;
mod logs;
mod queue;
mod registry;
mod repo;
mod restore;
mod retry;
mod rollback;
mod rules;
mod secret;
mod serve;
mod shadow;
mod sign_in;
mod status;
mod system;
mod token;
mod trigger;
mod version;
mod volume;
mod worker;
mod workers;

pub(crate) use arguments::{Command, run};
