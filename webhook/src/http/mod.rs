//! The parts that all requests share: state, authentication, bodies, answers and problems.

pub mod answer;
pub mod auth;
pub mod body;
pub mod problem;
pub mod public_path;
pub mod rate_limit;
pub mod readiness;
pub mod session;
pub mod state;
pub mod token;
