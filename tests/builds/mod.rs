//! Builds: what steps see, what images hold, where both go.

pub(crate) mod compression;
pub(crate) mod contexts;
pub(crate) mod foreign_layers;
pub(crate) mod local_images;
pub(crate) mod outputs;
pub(crate) mod owners;
pub(crate) mod platforms;
pub(crate) mod random_builds;
pub(crate) mod results;
pub(crate) mod secrets;
pub(crate) mod source_date_epoch;
pub(crate) mod step_states;
pub(crate) mod steps;
