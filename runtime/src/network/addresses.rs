//! Addresses that every sandbox has: reserved, so that no step learns or meets this machine's own or its neighbours'.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Address of the step.
pub(crate) const STEP: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 2);
/// Address to which the step sends what is for others.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 1);
/// Address under which steps find the machine's resolver.
pub(crate) const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
/// Address of the step in version 6: in the discard-only network (RFC 6666).
pub(crate) const STEP_6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 2);
/// Address of version 6 to which the step sends what is for others.
pub(crate) const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// Address of `pasta` on its interface.
pub(crate) const PASTA_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
