//! Where a request comes from when it came through proxies that the operator trusts.

use crate::configuration::network::{block, contains};
use axum::http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Reads addresses and networks.
    pub(crate) fn new(texts: &[String]) -> Result<Proxies, String> {
        let read = |text: &String| {
            block(text).ok_or_else(|| format!("`{text}` is not an address or a network such as 10.0.0.0/8"))
        };
        texts.iter().map(read).collect::<Result<_, _>>().map(Proxies)
    }

    /// Returns the address that a request comes from: the last that no trusted proxy has. That client wrote
    /// whatever stands before it in the header, so it means nothing.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        let mut client = peer;
        for text in lines.join(",").rsplit(',') {
            if !self.trusts(client) {
                break;
            }
            let Some(address) = parse(text.trim()) else { break };
            client = address;
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| contains(network, address))
    }
}

/// Reads an address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.trim_matches(['[', ']']).parse().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_whom_they_forward() {
        // SEC-M3
        let client = |trusted: &[&str], peer: &str, forwarded: &[&str]| {
            let proxies = Proxies::new(&trusted.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap();
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            proxies.client(peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(client(&[], "127.0.0.1", &["1.2.3.4"]), "127.0.0.1");
        assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &["9.9.9.9, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", &["9.9.9.9", "1.2.3.4, 10.1.1.1"]), "1.2.3.4");
        assert_eq!(client(&["127.0.0.1"], "8.8.8.8", &["1.2.3.4"]), "8.8.8.8");
        assert_eq!(client(&["::1"], "::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &["nonsense"]), "127.0.0.1");
        assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &[]), "127.0.0.1");
        assert!(Proxies::new(&["proxy.example.com".to_owned()]).is_err());
    }
}
