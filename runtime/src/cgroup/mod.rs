//! Limits: one control group per attempt, of version 1 or 2, where this machine lets slipway make one.

mod controller;
mod group;
mod make;
mod parents;

pub(crate) use group::{Cgroup, Limited, sweep};
