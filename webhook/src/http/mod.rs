//! The parts that all requests share: state, authentication, bodies, answers and problems.

pub(crate) mod answer;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod compress;
pub(crate) mod problem;
pub(crate) mod public_path;
pub(crate) mod rate_limit;
pub(crate) mod readiness;
pub(crate) mod session;
pub(crate) mod state;
pub mod token;
