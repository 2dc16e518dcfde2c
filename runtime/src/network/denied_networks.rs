//! Denied networks: this machine, link-local and metadata addresses, and private networks except those that are allowed.

use super::netlink::Net;
use super::{host_lookups, mirrors};
use crate::NetworkPolicy;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Denied whatever the policy says: this host's own forms, link-local, metadata services of large clouds, what the
/// sandbox itself uses, relays of 6to4, multicast, reserved.
const ALWAYS: [(Ipv4Addr, u8); 9] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(100, 100, 100, 200), 32),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// The same for version 6: loopback and addresses of version 4 in other clothes (compatible, mapped, Teredo, 6to4), what
/// the sandbox itself uses, metadata services, link-local and site-local, multicast. The halves of the link-local network
/// are for interfaces that have a route to the whole of it.
const ALWAYS_6: [(Ipv6Addr, u8); 11] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 65),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0x8000, 0, 0, 0), 65),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 9),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];
/// Private networks, and that of carriers' address translation.
const PRIVATE: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
];
/// Private networks, and those that hold addresses of version 4 which a translator on the way may reach.
const PRIVATE_6: [(Ipv6Addr, u8); 2] =
    [(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7), (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 32)];

/// Prefixes of translators, which put an address of version 4 behind them.
const TRANSLATORS: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0)];

/// Networks that are open unless they are denied: of version 6 those in use, and private ones.
pub(crate) const OPEN: [Net; 1] = [(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)];
/// The same for version 6.
pub(crate) const OPEN_6: [Net; 3] = [
    (IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0)), 3),
    (IpAddr::V6(PRIVATE_6[0].0), PRIVATE_6[0].1),
    (IpAddr::V6(PRIVATE_6[1].0), PRIVATE_6[1].1),
];

/// Returns the networks that steps must not reach; this machine's own addresses come on top.
pub(crate) fn denied(policy: &NetworkPolicy) -> Vec<Net> {
    let mut denied: Vec<Net> = ALWAYS.map(|(address, prefix)| (address.into(), prefix)).to_vec();
    denied.extend(ALWAYS_6.map(|(address, prefix)| (IpAddr::from(address), prefix)));
    // The same behind a translator, which private networks may have.
    denied.extend(TRANSLATORS.iter().flat_map(|translator| ALWAYS.map(|net| translated(*translator, net))));
    if !policy.private {
        let allowed = allowed(policy);
        let four = PRIVATE.map(|(address, prefix)| (IpAddr::from(address), prefix));
        let six = PRIVATE_6.map(|(address, prefix)| (IpAddr::from(address), prefix));
        denied.extend(four.into_iter().chain(six).flat_map(|net| without(net, &allowed)));
    }
    denied
}

fn whole(address: IpAddr) -> Net {
    (address, if address.is_ipv4() { 32 } else { 128 })
}

/// Returns a network of version 4 as a translator between the versions knows it.
fn translated(translator: Ipv6Addr, net: (Ipv4Addr, u8)) -> Net {
    let address = translator.to_bits() | u128::from(net.0.to_bits());
    (Ipv6Addr::from_bits(address).into(), 96 + net.1)
}

/// Returns what the policy allows and what this machine's package manager uses.
fn allowed(policy: &NetworkPolicy) -> Vec<Net> {
    let literal = policy.allowed.iter().filter_map(|text| literal(text));
    literal.chain(host_lookups::addresses(hosts(policy)).into_iter().map(whole)).collect()
}

/// Begins to look up the hosts that the policy allows and those that this machine's package manager uses.
pub(crate) fn begin_lookups(policy: &NetworkPolicy) {
    if !policy.private {
        host_lookups::begin(hosts(policy));
    }
}

fn hosts(policy: &NetworkPolicy) -> Vec<String> {
    let named = policy.allowed.iter().cloned().chain(mirrors::hosts(&mirrors::texts()));
    named.filter(|text| literal(text).is_none()).collect()
}

/// Reads a network or an address; a name is neither.
fn literal(text: &str) -> Option<Net> {
    if let Some((address, prefix)) = text.split_once('/') {
        return Some((address.parse().ok()?, prefix.parse().ok()?));
    }
    text.parse().ok().map(whole)
}

/// Returns `net` as networks that leave the `holes` out.
fn without(net: Net, holes: &[Net]) -> Vec<Net> {
    let (start, end) = range(net);
    let touches = |hole: &&Net| {
        let (first, last) = range(**hole);
        hole.0.is_ipv4() == net.0.is_ipv4() && first <= end && last >= start
    };
    let covers = |hole: &Net| {
        let (first, last) = range(*hole);
        first <= start && last >= end
    };
    let inside: Vec<Net> = holes.iter().filter(touches).copied().collect();
    if inside.is_empty() {
        return vec![net];
    }
    if inside.iter().any(covers) {
        return Vec::new();
    }
    let half = (end - start) / 2 + 1;
    let upper = if net.0.is_ipv4() {
        IpAddr::from(Ipv4Addr::from_bits((start + half) as u32))
    } else {
        IpAddr::from(Ipv6Addr::from_bits(start + half))
    };
    [net.0, upper].into_iter().flat_map(|address| without((address, net.1 + 1), &inside)).collect()
}

/// Returns the first and the last address of a network as numbers.
fn range(net: Net) -> (u128, u128) {
    let (address, prefix) = net;
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let free = width - u32::from(prefix).min(width);
    let mask = u128::MAX.checked_shl(free).unwrap_or(0);
    (bits & mask, (bits & mask) | !mask & (u128::MAX >> (128 - width)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        literal(text).unwrap()
    }

    #[test]
    fn a_hole_is_left_and_nothing_else() {
        assert_eq!(without(net("10.0.0.0/8"), &[net("192.168.0.1"), net("fd00::1")]), [net("10.0.0.0/8")]);
        assert!(without(net("10.0.0.0/8"), &[net("10.0.0.0/8")]).is_empty());
        assert!(without(net("10.0.0.0/8"), &[net("0.0.0.0/0")]).is_empty());
        assert_eq!(without(net("10.0.0.0/30"), &[net("10.0.0.1")]), [net("10.0.0.0/32"), net("10.0.0.2/31")]);
        let parts = without(net("10.0.0.0/8"), &[net("10.255.255.53"), net("10.1.0.0/16")]);
        let open = |text| {
            !parts.iter().any(|part| range(*part).0 <= range(net(text)).0 && range(*part).1 >= range(net(text)).0)
        };
        assert!(open("10.255.255.53") && open("10.1.200.3"));
        assert!(!open("10.255.255.52") && !open("10.0.0.0") && !open("10.2.0.0") && !open("10.255.255.255"));
        assert_eq!(without(net("fc00::/7"), &[net("fd00::2")]).len(), 121);
    }

    /// Forms of loopback, link-local and metadata addresses, and some more that lead to no public host.
    const EVERYWHERE: [&str; 26] = [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.1",
        "192.0.0.192",
        "192.88.99.1",
        "239.1.1.1",
        "255.255.255.255",
        "::",
        "::1",
        "::169.254.169.254",
        "::ffff:169.254.169.254",
        "2001:0:a9fe:a9fe::",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::127.0.0.1",
    ];

    #[test]
    fn what_no_build_may_reach_is_closed_under_every_policy() {
        // RT-34, RT-35
        for policy in [NetworkPolicy { private: true, allowed: Vec::new() }, NetworkPolicy::default()] {
            let denied = denied(&policy);
            for address in EVERYWHERE {
                let number = range(net(address)).0;
                let covered = |part: &Net| {
                    part.0.is_ipv4() == net(address).0.is_ipv4() && range(*part).0 <= number && range(*part).1 >= number
                };
                assert!(denied.iter().any(covered), "{address}");
            }
        }
        assert!(denied(&NetworkPolicy::default()).contains(&net("192.168.0.0/16")));
    }
}
