//! From a delivery to stored builds: its body is received and verified, rules are applied, and all is stored at once.

pub(crate) mod accept;
pub(crate) mod build_requests;
pub(crate) mod catalog;
pub(crate) mod check_requests;
pub(crate) mod decision;
pub(crate) mod hooks;
pub(crate) mod inbox;
pub(crate) mod keys;
pub(crate) mod known_ids;
pub(crate) mod names;
pub(crate) mod pull_requests;
pub(crate) mod spool;
