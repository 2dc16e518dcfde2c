//! Where repositories that the API defines may be fetched from, and where their webhooks may be: public addresses, and
//! what the operator allows.
//!
//! Repositories of the configuration are the operator's own and are not asked about.

use crate::view::code::Code;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use url::{Host, Url};

/// How long the lookup of a name may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The addresses that are allowed besides public ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    hosts: Vec<String>,
    blocks: Vec<IpNet>,
}

/// A URL that is not fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// [`Code::SchemeNotAllowed`], [`Code::AddressNotAllowed`] or [`Code::InvalidUrl`].
    pub code: Code,
    /// The mistake, and the remedy.
    pub detail: String,
}

impl Network {
    /// Reads the list of the configuration; hosts of the configuration's own `urls` are allowed too.
    pub(crate) fn new<'u>(allow: &[String], urls: impl Iterator<Item = &'u str>) -> Result<Network, String> {
        let mut network = Network::default();
        for text in allow {
            match block(text) {
                Some(block) => network.blocks.push(block),
                None if text.is_empty() || text.contains(['/', ' ', '@']) => {
                    return Err(format!("`{text}` is not a host, `host:port`, address or network such as 10.0.0.0/8"));
                }
                None => network.hosts.push(text.to_ascii_lowercase()),
            }
        }
        let named = urls.filter_map(|url| Url::parse(url).ok()).filter_map(|url| with_port(&url));
        network.hosts.extend(named);
        Ok(network)
    }

    /// Checks the URL under a key of a document: its scheme, its host, and every address that the host has. Returns those
    /// that were looked up, so that a connection uses the same addresses; `None` where there is nothing to
    /// look up, or all that could be found is allowed.
    pub(crate) async fn check(&self, key: &str, text: &str) -> Result<Option<Vec<SocketAddr>>, Refused> {
        let url = parse(key, text)?;
        // The host of a URL of ssh is only a text: read as that of the web it is an address or a name.
        let plain = url.host_str().map(|host| format!("http://{host}:{}/", url.port().unwrap_or(22)));
        let url = plain.filter(|_| url.scheme() == "ssh").and_then(|plain| Url::parse(&plain).ok()).unwrap_or(url);
        let host = url.host().ok_or_else(|| refused(Code::InvalidUrl, format!("`{text}` names no host")))?;
        if self.allows_host(&url) {
            return Ok(None);
        }
        let not_allowed = |what: String| {
            let remedy = "the operator allows addresses with `[network] allow`";
            Err(refused(Code::AddressNotAllowed, format!("{key} `{text}`: {what} is not a public address; {remedy}")))
        };
        match host {
            Host::Ipv4(address) if !self.allows(IpAddr::V4(address)) => not_allowed(address.to_string()),
            Host::Ipv6(address) if !self.allows(IpAddr::V6(address)) => not_allowed(address.to_string()),
            Host::Domain(name) => {
                let plain = name.trim_end_matches('.').to_ascii_lowercase();
                let local = ["localhost", "local", "internal"]
                    .iter()
                    .any(|end| plain == *end || plain.ends_with(&format!(".{end}")));
                if local || !plain.contains('.') {
                    return not_allowed(format!("`{name}`"));
                }
                let found = look_up(&plain, url.port_or_known_default().unwrap_or(443)).await;
                match found.iter().find(|address| !self.allows(address.ip())) {
                    Some(address) => not_allowed(format!("`{name}` ({})", address.ip())),
                    None => Ok(Some(found)),
                }
            }
            _ => Ok(None),
        }
    }

    /// Returns what is allowed besides public addresses: hosts, with or without a port, and networks.
    pub(crate) fn allowed(&self) -> (Vec<String>, Vec<(IpAddr, u8)>) {
        (self.hosts.clone(), self.blocks.iter().map(|network| (network.addr(), network.prefix_len())).collect())
    }

    fn allows_host(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let with_port = with_port(url).unwrap_or_default();
        self.hosts.iter().any(|known| *known == host || *known == with_port)
    }

    fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || self.blocks.iter().any(|network| contains(network, address))
    }
}

/// Returns the URL of a repository, which may be written as `user@host:path`.
pub(crate) fn repository_url(text: &str) -> Option<Url> {
    let short = text.split_once(':').filter(|(server, _)| !text.contains("://") && !server.contains('/'));
    match short.and_then(|(server, path)| Some((server.split_once('@')?, path))) {
        Some(((user, host), path)) => Url::parse(&format!("ssh://{user}@{host}/{path}")).ok(),
        None => Url::parse(text).ok(),
    }
}

/// Reads the address of a repository over ssh, if `text` is one.
fn over_ssh(key: &str, text: &str) -> Option<Result<Url, Refused>> {
    let url = repository_url(text).filter(|url| key == "clone_url" && url.scheme() == "ssh")?;
    let plain = |text: &str| {
        let fits = |char: char| char.is_ascii_alphanumeric() || "._-+".contains(char);
        text.chars().all(fits) && !text.starts_with('-')
    };
    let is_good = url.password().is_none()
        && plain(url.username())
        && url.host_str().is_some_and(|host| !host.is_empty() && !host.starts_with('-'))
        && url.path().len() > 1
        && !text.chars().any(|char| char.is_control() || char.is_whitespace());
    let detail = || format!("{key} {text:?}: `ssh://git@host/path.git` or `git@host:path.git` is expected");
    Some(if is_good { Ok(url) } else { Err(refused(Code::InvalidUrl, detail())) })
}

/// Reads the URL under a key of a document.
pub(crate) fn parse(key: &str, text: &str) -> Result<Url, Refused> {
    if let Some(read) = over_ssh(key, text) {
        return read;
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    if scheme != "http" && scheme != "https" {
        let more = if key == "clone_url" { ", ssh:// and user@host:path" } else { "" };
        let detail = format!("{key} {text:?}: only https:// and http://{more} are connected to");
        return Err(refused(Code::SchemeNotAllowed, detail));
    }
    if text.chars().any(|char| char.is_control() || char.is_whitespace()) {
        return Err(refused(Code::InvalidUrl, format!("{key} {text:?} holds spaces or control characters")));
    }
    let url = Url::parse(text).map_err(|error| refused(Code::InvalidUrl, format!("{key} {text:?}: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        let remedy = match key {
            "clone_url" => "the operator sets them by host under `[git]`",
            _ => "a `secret` signs what is sent",
        };
        return Err(refused(Code::InvalidUrl, format!("{key} holds credentials: {remedy}")));
    }
    Ok(url)
}

/// Looks a name up; one that has no address now is looked up again when it is connected to.
async fn look_up(name: &str, port: u16) -> Vec<SocketAddr> {
    let looking = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((name, port)));
    looking.await.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default()
}

fn refused(code: Code, detail: impl Into<String>) -> Refused {
    Refused { code, detail: database::redact(&detail.into()).into_owned() }
}

fn with_port(url: &Url) -> Option<String> {
    let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
    Some(format!("{host}:{}", url.port_or_known_default()?))
}

/// Reads an address or a network of addresses; an IPv6 address may stand in brackets.
pub(crate) fn block(text: &str) -> Option<IpNet> {
    let plain = text.replace(['[', ']'], "");
    plain.parse().ok().or_else(|| plain.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Tells whether an address lies in a network, also as an IPv6 address that carries an IPv4 one.
pub(crate) fn contains(network: &IpNet, address: IpAddr) -> bool {
    network.contains(&plain(address))
}

/// Returns the IPv4 address that an IPv6 address carries.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let parts = v6.segments();
    let last = Ipv4Addr::from((u32::from(parts[6]) << 16) | u32::from(parts[7]));
    match parts {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => IpAddr::V4(last),
        // 6to4 carries the address behind its prefix.
        [0x2002, high, low, ..] => IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match plain(address) {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    // The addresses of clouds' own services.
    !special && address != Ipv4Addr::new(168, 63, 129, 16)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    let second = address.segments()[1];
    // Global unicast is 2000::/3; of it, documentation and tunnels that carry other addresses are not.
    (0x2000..=0x3fff).contains(&first) && !(first == 0x2001 && matches!(second, 0 | 0xdb8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &Network, url: &str) -> Option<Code> {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(network.check("clone_url", url)).err().map(|refused| refused.code)
    }

    #[test]
    fn repositories_may_be_on_ssh_and_webhooks_may_not() {
        for good in
            ["git@example.com:team/app.git", "ssh://git@example.com/team/app.git", "ssh://example.com:2222/~me/app"]
        {
            assert!(parse("clone_url", good).is_ok_and(|url| url.host_str() == Some("example.com")), "{good}");
            assert!(parse("url", good).is_err(), "{good}");
        }
        for bad in [
            "ssh://me:pw@example.com/x",
            "ssh://-oProxyCommand=id/x",
            "git@-x:y",
            "ssh://example.com",
            "git@example.com: x",
        ] {
            assert!(parse("clone_url", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_refused_however_they_are_written() {
        // API-20, API-26
        let none = Network::default();
        let inside = [
            "http://169.254.169.254/x.git",
            "http://127.0.0.1:5432",
            "http://[::1]/x",
            "http://0x7f000001/x",
            "http://2130706433/x",
            "http://localhost./x",
            "http://localhost/x",
            "http://0177.0.0.1/x",
            "http://127.1/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://[64:ff9b::7f00:1]/x",
            "http://[fe80::1]/x",
            "http://[fd00:ec2::254]/x",
            "http://10.1.2.3/x",
            "http://172.20.0.1/x",
            "http://192.168.1.1/x",
            "http://100.100.100.200/x",
            "http://168.63.129.16/x",
            "http://0.0.0.0/x",
            "http://[::]/x",
            "http://metadata.google.internal/x",
            "http://printer/x",
            "ssh://git@127.0.0.1/x",
            "ssh://git@10.1.2.3:2222/x",
            "ssh://git@[::1]/x",
            "git@localhost:x",
            "http://[2002:7f00:1::]/x",
            "http://db.local/x",
            "http://①②⑦.0.0.1/x",
        ];
        for url in inside {
            assert_eq!(check(&none, url), Some(Code::AddressNotAllowed), "{url}");
        }
        assert_eq!(check(&none, "http://[fe80::1%25eth0]/x"), Some(Code::InvalidUrl));
        for url in ["https://140.82.121.4/x.git", "https://[2606:50c0:8000::153]/x.git"] {
            assert_eq!(check(&none, url), None, "{url}");
        }
    }

    #[test]
    fn a_name_without_addresses_leads_nowhere_yet() {
        // A later connection must not look such a name up without this check.
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let check = |url: &str| tokio.block_on(Network::default().check("url", url));
        assert_eq!(check("https://nowhere.invalid/x"), Ok(Some(Vec::new())));
        assert_eq!(check("https://140.82.121.4/x"), Ok(None));
    }

    #[test]
    fn other_ways_to_fetch_are_refused() {
        // API-23
        for url in ["file:///etc", "ext::sh -c id", "/srv/repo", "git://example.com/x", "", "-x"] {
            assert_eq!(check(&Network::default(), url), Some(Code::SchemeNotAllowed), "{url}");
        }
        for url in [
            "ssh://-oProxyCommand=id/x",
            "https://user:pass@140.82.121.4/x",
            "https://140.82.121.4/x y",
            "https://140.82.121.4/\nx",
            "https://",
        ] {
            assert_eq!(check(&Network::default(), url), Some(Code::InvalidUrl), "{url}");
        }
    }

    #[test]
    fn the_operator_allows_hosts_and_networks() {
        let allow = ["10.0.0.0/8".to_owned(), "git.corp:8443".to_owned(), "fd00::/8".to_owned(), "forge".to_owned()];
        let network = Network::new(&allow, ["http://127.0.0.1:3000/app.git"].into_iter()).unwrap();
        for url in [
            "http://10.9.9.9/x",
            "https://git.corp:8443/x",
            "http://[fd00::1]/x",
            "http://forge/x",
            "http://127.0.0.1:3000/other.git",
        ] {
            assert_eq!(check(&network, url), None, "{url}");
        }
        for url in ["http://11.0.0.1.nip/x", "https://git.corp/x", "http://127.0.0.1:3001/x", "http://192.168.0.1/x"] {
            assert!(check(&network, url).is_none_or(|code| code == Code::AddressNotAllowed), "{url}");
        }
        assert_eq!(check(&network, "http://127.0.0.1:3001/x"), Some(Code::AddressNotAllowed));
        assert!(Network::new(&["a/b/c".to_owned()], std::iter::empty()).is_err());
    }
}
