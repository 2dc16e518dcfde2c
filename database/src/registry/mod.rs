//! The embedded registry's accounts: who they are, what they may do, and what they did.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod password;
pub(crate) mod refresh;
