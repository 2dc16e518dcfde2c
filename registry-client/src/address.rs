//! Which addresses a request for a registry may connect to, checked on the address that is connected to (REG-20, SEC-M2).

use crate::Error;
use crate::public_address::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The addresses that a request may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressPolicy {
    /// Everything but what is never a registry: link-local addresses and the metadata services of clouds.
    Any,
    /// The same without this machine: for where a registry elsewhere leads.
    Elsewhere,
    /// Public addresses that are not this machine's own.
    Public,
}

/// Says that an address was refused, in every error alike: the text must not tell what is behind it.
pub(crate) const NOT_ALLOWED: &str = "its address is not allowed";

/// Metadata services of clouds that are not at link-local addresses.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl AddressPolicy {
    /// Returns whether an address may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = embedded(address);
        if is_forbidden(address) {
            return false;
        }
        match self {
            AddressPolicy::Any => true,
            AddressPolicy::Elsewhere => !address.is_loopback(),
            AddressPolicy::Public => is_public(address) && !is_own(address),
        }
    }

    /// Checks the host of a URL as far as it can be done before its name is looked up; the resolver does the rest.
    pub fn check(self, registry: &str, url: &url::Url) -> Result<(), Error> {
        let allowed = match url.host() {
            Some(url::Host::Ipv4(address)) => self.allows(address.into()),
            Some(url::Host::Ipv6(address)) => self.allows(address.into()),
            Some(url::Host::Domain(name)) => self == AddressPolicy::Any || !is_localhost(name),
            None => false,
        };
        if allowed { Ok(()) } else { Err(refused(registry, self)) }
    }

    fn reason(self) -> &'static str {
        match self {
            AddressPolicy::Any => "link-local addresses and metadata services are never connected to",
            AddressPolicy::Elsewhere => "a registry does not lead to this machine",
            AddressPolicy::Public => "a build that is not trusted reads from public addresses only",
        }
    }
}

/// Returns the error of an address that is not connected to.
pub(crate) fn refused(registry: &str, policy: AddressPolicy) -> Error {
    Error::NotAllowed(format!("registry `{registry}`: {NOT_ALLOWED}: {}", policy.reason()))
}

/// Returns the policy for what a registry leads to.
pub(crate) fn elsewhere(own: AddressPolicy, is_loopback: bool) -> AddressPolicy {
    match own {
        AddressPolicy::Public => AddressPolicy::Public,
        _ if is_loopback => AddressPolicy::Any,
        _ => AddressPolicy::Elsewhere,
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Returns whether an address is never a registry's.
fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let never = address.is_link_local() || address.is_multicast() || address.is_broadcast();
            never || address.octets()[0] == 0 || METADATA_V4.contains(&address)
        }
        IpAddr::V6(address) => {
            let never = address.is_unicast_link_local() || address.is_multicast() || address.is_unspecified();
            never || address == METADATA_V6
        }
    }
}

/// Returns the IPv4 address that a mapped, compatible, 6to4 or NAT64 address carries, or the address itself.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let of = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match six.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => of(high, low),
        // `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of(high, low),
        _ => address,
    }
}

/// Returns whether an address is one of this machine's own: those, and no others, can be bound to.
pub(crate) fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// Looks names up as the system does and drops what may not be connected to: the address that was checked is the one
/// that is used.
pub(crate) struct Resolver(pub AddressPolicy);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = found.into_iter().filter(|address| policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(NOT_ALLOWED.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(policy: AddressPolicy, to: &str) -> bool {
        url::Url::parse(to).is_ok_and(|url| policy.check("registry.example.com", &url).is_ok())
    }

    // REG-20, SEC-M2
    #[test]
    fn link_local_addresses_and_metadata_services_are_for_nobody() {
        for to in [
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[::169.254.169.254]/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/",
            "http://169.254.169.254./",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
            "http://0.0.0.0:5000/",
            "http://[::]:5000/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://[fe80::1%25eth0]/",
        ] {
            for policy in [AddressPolicy::Any, AddressPolicy::Elsewhere, AddressPolicy::Public] {
                assert!(!goes(policy, to), "{policy:?} {to}");
            }
        }
        for to in ["http://127.0.0.1:5000/", "http://10.0.0.9/", "http://localhost:1/", "https://registry.example.com/"]
        {
            assert!(goes(AddressPolicy::Any, to), "{to}");
        }
    }

    // SEC-M2
    #[test]
    fn strangers_builds_reach_public_addresses_only() {
        for to in [
            "http://127.0.0.1:9999/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://017700000001/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://x.localhost/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://10.0.0.9:80/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://100.64.0.1/",
            "http://[fc00::1]/",
            "http://[64:ff9b::a00:1]/",
            "http://[64:ff9b:1::a00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001::1]/",
        ] {
            assert!(!goes(AddressPolicy::Public, to), "{to}");
        }
        assert!(
            goes(AddressPolicy::Public, "https://1.1.1.1/")
                && goes(AddressPolicy::Public, "https://[2606:4700::1111]/")
        );
        assert!(
            !goes(AddressPolicy::Elsewhere, "https://127.0.0.1/")
                && goes(AddressPolicy::Elsewhere, "https://10.0.0.9/")
        );
    }

    #[tokio::test]
    async fn a_name_is_as_good_as_its_addresses() {
        // SEC-M2: the resolver is what the connector asks, so no second lookup can answer otherwise.
        for policy in [AddressPolicy::Elsewhere, AddressPolicy::Public] {
            let found = Resolver(policy).resolve("localhost".parse().unwrap()).await;
            assert!(found.err().is_some_and(|error| error.to_string() == NOT_ALLOWED));
        }
        assert!(Resolver(AddressPolicy::Any).resolve("localhost".parse().unwrap()).await.is_ok());
    }

    #[test]
    fn this_machine_s_own_addresses_are_known() {
        assert!(is_own("127.0.0.1".parse().unwrap()) && !is_own("192.0.2.1".parse().unwrap()));
    }
}
