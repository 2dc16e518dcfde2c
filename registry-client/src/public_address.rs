//! Addresses of the public internet, told apart from private, local and reserved ones.

use std::net::{IpAddr, Ipv4Addr};

/// Returns whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            if let Some(inner) = address.to_ipv4_mapped().or_else(|| embedded(address.segments())) {
                return is_public_v4(inner);
            }
            let first = address.segments()[0];
            // Only 2000::/3 is given out; documentation and benchmarking lie in it.
            first & 0xe000 == 0x2000 && !is_special(first, address.segments()[1])
        }
    }
}

/// Returns whether addresses that begin like this are given out for protocols, not for networks: Teredo and its relatives,
/// and documentation.
fn is_special(first: u16, second: u16) -> bool {
    (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) || (first == 0x3fff && second < 0x1000)
}

/// Returns the IPv4 address that 6to4 and NAT64 addresses carry.
fn embedded(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0x2002, high, low, ..] => Some(of(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        _ => None,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarking = a == 198 && (18..20).contains(&b);
    let reserved = a == 0 || a >= 224 || (a, b, c) == (192, 0, 0);
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || benchmarking
        || reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_not_public() {
        // DF-23
        for inner in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::a9fe:a9fe",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for public in ["1.1.1.1", "151.101.0.204", "2606:4700::1111", "2a04:4e42::644"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
