//! The network of an attempt, in two namespaces: the steps', and an outer one around it.
//!
//! A pair of interfaces joins the two. The outer one forwards what steps send to `pasta`, which translates between it and
//! this machine without any privilege in either. The outer one closes the addresses that steps must not reach, where packets are
//! looked at by their addresses and no option of a socket counts; a step has no way to it.

mod addresses;
mod attempt;
mod denied_networks;
mod host_lookups;
mod limits;
mod mirrors;
mod netlink;
mod pasta;
mod pasta_supervisor;
mod policy;
mod router;
mod sysctl;

pub(crate) use attempt::Network;
pub(crate) use denied_networks::begin_lookups;
pub(crate) use pasta_supervisor::{PASTA_SUPERVISOR, supervise};
