//! Which addresses a registry may lead to: never this machine's own services, unless it is one of them (REG-20).

use crate::{Error, Reference};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv6Addr};

/// Refuses to be sent from a remote registry to this machine, and from any to link-local addresses.
pub fn check(reference: &Reference, origin: &url::Url, url: &url::Url) -> Result<(), Error> {
    if url.origin() == origin.origin() {
        return Ok(());
    }
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(url::Host::Domain(name)) if name.trim_end_matches('.') == "localhost" => {
            Some(IpAddr::V6(Ipv6Addr::LOCALHOST))
        }
        Some(url::Host::Domain(_)) => None,
        None => return Err(refused(reference)),
    };
    let encrypted = url.scheme() == "https";
    let plain = url.scheme() == "http" && reference.is_loopback();
    let own = address.is_some_and(|address| canonical(address).is_loopback());
    if !(encrypted || plain) || (own && !reference.is_loopback()) || address.is_some_and(is_forbidden) {
        return Err(refused(reference));
    }
    Ok(())
}

fn refused(reference: &Reference) -> Error {
    Error::document(reference.registry(), "it redirects to an address that is not allowed")
}

/// Tells whether an address is never a registry's: metadata services of clouds are at link-local ones.
fn is_forbidden(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(address) => address.is_link_local() || address.is_unspecified() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unspecified(),
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Looks names up as the system does, but finds no address that is forbidden: a name could lead there, too.
pub struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = found.into_iter().filter(|address| !is_forbidden(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name has no address that is allowed".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(registry: &str, to: &str) -> bool {
        let reference = Reference::parse(&format!("{registry}/app:1")).unwrap();
        let scheme = if reference.is_loopback() { "http" } else { "https" };
        let origin = url::Url::parse(&format!("{scheme}://{registry}/")).unwrap();
        check(&reference, &origin, &url::Url::parse(to).unwrap()).is_ok()
    }

    // REG-20
    #[test]
    fn redirects_lead_nowhere_near_this_machine() {
        assert!(goes("registry.example.com", "https://cdn.example.com/blob"));
        assert!(goes("127.0.0.1:5000", "http://127.0.0.1:6000/blob"));
        for to in [
            "http://169.254.169.254/latest",
            "https://169.254.169.254/latest",
            "https://127.0.0.1/blob",
            "https://localhost/blob",
            "https://[::1]/blob",
            "https://[::ffff:127.0.0.1]/blob",
            "https://0.0.0.0/blob",
            "http://cdn.example.com/blob",
            "ftp://cdn.example.com/blob",
        ] {
            assert!(!goes("registry.example.com", to), "{to}");
        }
        assert!(!goes("127.0.0.1:5000", "http://169.254.169.254/latest"));
        assert!(!goes("127.0.0.1:5000", "http://[::ffff:169.254.169.254]/latest"));
    }
}
