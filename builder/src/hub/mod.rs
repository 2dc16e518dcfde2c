//! Docker Hub's hooks and tests: a repository that Docker Hub built is built here as it was there.

mod archive_commands;
mod asked;
mod autotest;
mod build_command;
mod checkout;
mod commands;
mod container;
mod engine;
mod flags;
mod found;
mod image_commands;
mod images;
mod machine;
mod machines;
mod named_machine;
mod progress;
mod push_command;
mod run_command;
mod service_states;
mod session;
mod socket;
mod variables;

pub(crate) use checkout::Commit;
pub(crate) use engine::Terms;
pub(crate) use found::Found;
pub(crate) use session::{Ended, Session};
pub(crate) use variables::Facts;
