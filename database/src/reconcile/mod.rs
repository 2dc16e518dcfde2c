//! Builds that no delivery asked for: missed pushes, changed base images, schedules.

pub(crate) mod base_image;
mod due;
pub(crate) mod missed_push;
pub(crate) mod ref_poll;
pub(crate) mod schedule;
