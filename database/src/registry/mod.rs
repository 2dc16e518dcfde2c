//! The embedded registry's accounts: who they are, what they may do, and what they did.

pub mod account;
pub mod audit;
pub mod password;
pub mod refresh;
