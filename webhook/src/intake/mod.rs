//! From a delivery to stored builds: its body is received and verified, rules are applied, and all is stored at once.

pub mod accept;
pub mod build_requests;
pub mod catalog;
pub mod decision;
pub mod hooks;
pub mod inbox;
pub mod names;
pub mod pull_requests;
pub mod spool;
