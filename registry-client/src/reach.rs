//! Addresses that requests to a user's URL may connect to, checked on the address of the actual connection.
//!
//! A name is looked up once, by the connection itself: what a name leads to may change between a check and a connection.

use crate::public_address::is_public;
use crate::shown_url::refused;
use crate::{Client, Error};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use url::{Host, Url};

/// Which addresses a download may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// All: the user could connect to them anyway.
    Anywhere,
    /// Public ones, and those that the operator allows besides: see [`Allowed`].
    Allowed,
    /// Only those of the public internet: loopback, link-local and private ones are the operator's, not the user's.
    #[default]
    PublicOnly,
}

/// Addresses that the operator allows besides public ones.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Hosts by name, or by name and port (`host:port`), in lower case.
    pub hosts: Vec<String>,
    /// Networks of addresses: their first address and the length of the prefix.
    pub networks: Vec<(IpAddr, u8)>,
    /// Hosts of proxies, which may be anywhere; what they connect to is theirs to decide.
    pub proxies: Vec<String>,
}

/// The clients that look at the addresses that they connect to, made when they are used.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    allowed: Allowed,
    public_only: OnceLock<reqwest::Client>,
    with_allowed: OnceLock<reqwest::Client>,
}

/// The error of an address that is never connected to.
pub(crate) const NOT_PUBLIC: &str =
    "leads to an address that is not public: only `slipway build` by hand downloads from those";
/// The error of an address that the operator could allow.
pub(crate) const NOT_ALLOWED: &str =
    "leads to an address that is not public: the operator allows addresses with `[network] allow`";

impl Checked {
    /// Returns clients that connect to what is `allowed`, too, where that counts.
    pub(crate) fn new(allowed: Allowed) -> Self {
        Checked { allowed, ..Checked::default() }
    }

    /// Checks a URL before anything is connected to; tells whether the addresses of its host need no check.
    pub(crate) fn verify(&self, url: &Url, reach: Reach) -> Result<bool, Error> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused(url.as_str(), "is neither http nor https"));
        }
        let Some(host) = url.host() else { return Err(refused(url.as_str(), "has no host")) };
        let problem = match reach {
            Reach::Anywhere => return Ok(true),
            Reach::Allowed if self.allows_host(url) => return Ok(true),
            Reach::Allowed => NOT_ALLOWED,
            Reach::PublicOnly => NOT_PUBLIC,
        };
        let networks = self.networks(reach);
        let fits = match host {
            Host::Ipv4(address) => allows(networks, IpAddr::V4(address)),
            Host::Ipv6(address) => allows(networks, IpAddr::V6(address)),
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                name != "localhost" && !name.ends_with(".localhost") || networks_hold_loopback(networks)
            }
        };
        if fits { Ok(false) } else { Err(refused(url.as_str(), problem)) }
    }

    /// Returns the client that connects only to what `reach` allows.
    pub(crate) fn client(&self, user_agent: &str, reach: Reach) -> Result<&reqwest::Client, Error> {
        let kept = if reach == Reach::Allowed { &self.with_allowed } else { &self.public_only };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        let names = CheckedNames {
            networks: self.networks(reach).to_vec(),
            proxies: self.allowed.proxies.clone(),
            problem: if reach == Reach::Allowed { NOT_ALLOWED } else { NOT_PUBLIC },
        };
        let client = crate::http::client(user_agent).dns_resolver(Arc::new(names)).build().map_err(Error::Setup)?;
        Ok(kept.get_or_init(|| client))
    }

    /// Looks a host up for a connection that is not one of the web; returns only the addresses that may be connected to.
    async fn addresses(&self, host: &str, port: u16, reach: Reach) -> Result<Vec<IpAddr>, Error> {
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let shown = format!("{bracketed}:{port}");
        let url = Url::parse(&format!("http://{shown}/")).map_err(|_| refused(&shown, "is not a host"))?;
        let any = self.verify(&url, reach)?;
        let found = tokio::net::lookup_host((host, port)).await.map_err(Error::Local)?;
        let networks = self.networks(reach);
        let allowed: Vec<_> = found.map(|found| found.ip()).filter(|found| any || allows(networks, *found)).collect();
        match allowed.is_empty() {
            true => Err(refused(&shown, if reach == Reach::Allowed { NOT_ALLOWED } else { NOT_PUBLIC })),
            false => Ok(allowed),
        }
    }

    fn networks(&self, reach: Reach) -> &[(IpAddr, u8)] {
        if reach == Reach::Allowed { &self.allowed.networks } else { &[] }
    }

    fn allows_host(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        self.allowed.hosts.iter().any(|known| *known == host || *known == with_port)
    }
}

impl Client {
    /// Looks a host up for a connection that is not one of the web; returns only the addresses that may be connected to.
    pub async fn addresses(&self, host: &str, port: u16, reach: Reach) -> Result<Vec<IpAddr>, Error> {
        self.checked.addresses(host, port, reach).await
    }
}

/// Tells why a connection was not made, if the address is the reason.
pub(crate) fn refusal(cause: &reqwest::Error) -> Option<&'static str> {
    let mut source = std::error::Error::source(cause);
    while let Some(inner) = source {
        let text = inner.to_string();
        if let Some(problem) = [NOT_PUBLIC, NOT_ALLOWED].into_iter().find(|problem| text.contains(problem)) {
            return Some(problem);
        }
        source = inner.source();
    }
    None
}

fn networks_hold_loopback(networks: &[(IpAddr, u8)]) -> bool {
    networks.iter().any(|(network, _)| network.is_loopback())
}

fn allows(networks: &[(IpAddr, u8)], address: IpAddr) -> bool {
    is_public(address) || networks.iter().any(|(network, length)| contains(*network, *length, address))
}

fn contains(network: IpAddr, length: u8, address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differ = u32::from(network) ^ u32::from(address);
            length <= 32 && differ.checked_shr(32 - u32::from(length)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differ = u128::from(network) ^ u128::from(address);
            length <= 128 && differ.checked_shr(128 - u32::from(length)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// Looks names up and drops what may not be connected to, so that no name leads inside, whatever it resolves to next time.
struct CheckedNames {
    networks: Vec<(IpAddr, u8)>,
    proxies: Vec<String>,
    problem: &'static str,
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, problem) = (self.networks.clone(), self.problem);
        // A proxy is the operator's: its name is looked up by this connection, those behind it by the proxy.
        let proxy = self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| proxy || allows(&networks, found.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("`{}` {problem}", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> Allowed {
        let hosts = vec!["git.lan".to_owned(), "127.0.0.1:3000".to_owned()];
        Allowed { hosts, networks: vec![("10.1.0.0".parse().unwrap(), 16)], proxies: vec!["proxy.lan".to_owned()] }
    }

    #[test]
    fn urls_are_checked_before_anything_is_connected_to() {
        let checked = Checked::new(allowed());
        let public = |url: &str| checked.verify(&Url::parse(url).unwrap(), Reach::PublicOnly);
        for refused in [
            "http://127.0.0.1/",
            "http://localhost/",
            "http://x.localhost./",
            "http://[::1]/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://10.1.2.3/",
            "http://127.0.0.1:3000/",
            "ftp://example.com/x",
            "file:///etc/passwd",
        ] {
            assert!(public(refused).is_err(), "{refused}");
        }
        assert!(public("https://example.com/x").is_ok());
        assert!(checked.verify(&Url::parse("http://127.0.0.1/").unwrap(), Reach::Anywhere).unwrap());
    }

    #[test]
    fn what_the_operator_allows_is_reached_besides() {
        // SEC-M5
        let checked = Checked::new(allowed());
        let verified = |url: &str| checked.verify(&Url::parse(url).unwrap(), Reach::Allowed);
        for trusted in ["https://git.lan/a", "https://GIT.lan:8443/a", "http://127.0.0.1:3000/a"] {
            assert!(verified(trusted).unwrap(), "{trusted}");
        }
        for looked_at in ["http://10.1.255.1/", "https://example.com/", "https://rebinding.example/"] {
            assert!(!verified(looked_at).unwrap(), "{looked_at}");
        }
        for refused in ["http://10.2.0.1/", "http://127.0.0.1/", "http://127.0.0.1:3001/", "http://[::1]:3000/"] {
            assert!(verified(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn networks_are_compared_by_their_prefix() {
        let holds =
            |network: &str, length, address: &str| contains(network.parse().unwrap(), length, address.parse().unwrap());
        assert!(holds("10.0.0.0", 8, "10.255.0.1") && holds("0.0.0.0", 0, "1.2.3.4"));
        assert!(holds("127.0.0.1", 32, "127.0.0.1") && !holds("127.0.0.1", 32, "127.0.0.2"));
        assert!(
            holds("10.0.0.0", 8, "::ffff:10.0.0.1") && holds("fd00::", 8, "fd12::1") && !holds("fd00::", 8, "fe80::1")
        );
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_an_inner_address_is_refused() {
        // DF-23, SEC-M5: the name is fine, its address is not; `localhost.` names vary, so the resolver itself is asked.
        let names =
            |networks: Vec<(IpAddr, u8)>, proxies: Vec<String>| CheckedNames { networks, proxies, problem: NOT_PUBLIC };
        let refused = names(Vec::new(), Vec::new()).resolve("localhost".parse().unwrap()).await;
        assert!(refused.err().is_some_and(|error| error.to_string().contains(NOT_PUBLIC)));
        let networks = vec![("127.0.0.0".parse().unwrap(), 8), ("::1".parse().unwrap(), 128)];
        assert!(names(networks, Vec::new()).resolve("localhost".parse().unwrap()).await.is_ok());
        assert!(names(Vec::new(), vec!["localhost".to_owned()]).resolve("localhost".parse().unwrap()).await.is_ok());
    }
}
