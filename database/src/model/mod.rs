//! Plain data for the rest of slipway: builds, requests, triggers, deliveries, and how builds are read from their rows.

pub(crate) mod bake;
pub(crate) mod build;
pub(crate) mod build_id;
pub(crate) mod build_request;
pub(crate) mod build_state;
pub(crate) mod claim;
pub(crate) mod delivery;
pub(crate) mod json;
pub mod placeholders;
pub(crate) mod pushed_image;
pub(crate) mod ref_name;
pub(crate) mod rules_fetch;
pub(crate) mod step;
pub(crate) mod trigger;
