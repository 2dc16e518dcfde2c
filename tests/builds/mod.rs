//! Builds: what steps see, what images hold, where both go.

pub mod compression;
pub mod contexts;
pub mod foreign_layers;
pub mod local_images;
pub mod outputs;
pub mod owners;
pub mod platforms;
pub mod random_builds;
pub mod results;
pub mod secrets;
pub mod source_date_epoch;
pub mod step_states;
pub mod steps;
