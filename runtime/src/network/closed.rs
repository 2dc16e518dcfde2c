//! What steps must not reach: this machine, link-local and metadata addresses, and private networks but for those allowed.

use super::mirrors;
use crate::NetworkPolicy;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long names may take to be looked up.
const PATIENCE: Duration = Duration::from_secs(2);

/// A network: an address in it and the length of its prefix.
pub type Net = (IpAddr, u8);

/// Closed whatever the policy says: link-local, metadata services of large clouds, multicast, reserved.
const ALWAYS: [(Ipv4Addr, u8); 5] = [
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(100, 100, 100, 200), 32),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// The same for version 6; the halves of the link-local network come before the route that every interface has.
const ALWAYS_6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 65),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0x8000, 0, 0, 0), 65),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128),
];
/// Private networks, and that of carriers' address translation.
const PRIVATE: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
];
/// Private networks, and those that hold addresses of version 4 which a translator on the way may reach.
const PRIVATE_6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
];

/// Returns the networks that steps must not reach.
pub fn closed(policy: &NetworkPolicy) -> Vec<Net> {
    let mut closed: Vec<Net> = ALWAYS.map(|(address, prefix)| (address.into(), prefix)).to_vec();
    closed.extend(ALWAYS_6.map(|(address, prefix)| (IpAddr::from(address), prefix)));
    closed.extend(own_addresses().into_iter().map(whole));
    if !policy.private {
        let allowed = allowed(policy);
        let four = PRIVATE.map(|(address, prefix)| (IpAddr::from(address), prefix));
        let six = PRIVATE_6.map(|(address, prefix)| (IpAddr::from(address), prefix));
        closed.extend(four.into_iter().chain(six).flat_map(|net| without(net, &allowed)));
    }
    closed
}

fn whole(address: IpAddr) -> Net {
    (address, if address.is_ipv4() { 32 } else { 128 })
}

/// Returns what the policy allows and what this machine's package manager uses; names are looked up now.
fn allowed(policy: &NetworkPolicy) -> Vec<Net> {
    let hosts = policy.allowed.iter().cloned().chain(mirrors::hosts(&mirrors::texts()));
    let (found, networks_found) = std::sync::mpsc::channel();
    // Side by side: a resolver that does not answer is waited for once, and not for long.
    for host in hosts {
        let found = found.clone();
        std::thread::spawn(move || found.send(networks(&host)));
    }
    drop(found);
    let deadline = Instant::now() + PATIENCE;
    let next = || networks_found.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
    std::iter::from_fn(next).flatten().collect()
}

fn networks(text: &str) -> Vec<Net> {
    if let Some((address, prefix)) = text.split_once('/')
        && let (Ok(address), Ok(prefix)) = (address.parse(), prefix.parse())
    {
        return vec![(address, prefix)];
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return vec![whole(address)];
    }
    match (text, 80).to_socket_addrs() {
        Ok(found) => found.map(|address| whole(address.ip())).collect(),
        Err(error) => {
            tracing::debug!(host = text, %error, "a host that steps may reach is not known");
            Vec::new()
        }
    }
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
fn range((address, prefix): Net) -> (u128, u128) {
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let free = width - u32::from(prefix).min(width);
    let mask = u128::MAX.checked_shl(free).unwrap_or(0);
    (bits & mask, (bits & mask) | !mask & (u128::MAX >> (128 - width)))
}

fn own_addresses() -> Vec<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let four = address.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::from(six.ip())))
    });
    addresses.filter(|address| !address.is_loopback()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        networks(text)[0]
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

    #[test]
    fn what_no_build_may_reach_is_closed_under_every_policy() {
        // RT-34, RT-35
        for policy in [NetworkPolicy { private: true, allowed: Vec::new() }, NetworkPolicy::default()] {
            let closed = closed(&policy);
            for address in
                ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "239.1.1.1", "255.255.255.255"]
            {
                let number = range(net(address)).0;
                let covered = |part: &Net| {
                    part.0.is_ipv4() == net(address).0.is_ipv4() && range(*part).0 <= number && range(*part).1 >= number
                };
                assert!(closed.iter().any(covered), "{address}");
            }
        }
        assert!(closed(&NetworkPolicy::default()).contains(&net("192.168.0.0/16")));
    }
}
