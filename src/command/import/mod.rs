//! `slipway repo import`: what other services were told to build becomes repositories of `slipway.toml`.

mod actions;
mod actions_tags;
mod arguments;
mod gitlab;
mod hub;
mod openshift;
mod quay;
mod repository;
mod texts;
mod woodpecker;

pub(crate) use arguments::{Arguments, run};
