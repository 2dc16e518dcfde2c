//! Logins of git servers, by the host of a repository's URL.

use super::ssh::SshAddress;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// User and password by host, or by host and port.
#[derive(Clone, Default)]
pub struct Logins(Arc<BTreeMap<String, (String, String)>>);

impl Logins {
    /// Returns these logins; names of hosts count in either case.
    pub fn new(logins: &BTreeMap<String, (String, String)>) -> Self {
        Logins(Arc::new(logins.iter().map(|(host, login)| (host.to_ascii_lowercase(), login.clone())).collect()))
    }

    /// Returns one login, for the server of `url` alone.
    pub(super) fn of_server(url: &str, login: (String, String)) -> Self {
        let server = server(url).map(|(host, port)| (format!("{host}:{port}"), login));
        Logins(Arc::new(server.into_iter().collect()))
    }

    /// Returns the login for the server of `url`: one with its port wins over one without.
    pub fn of(&self, url: &str) -> Option<(String, String)> {
        let (host, port) = server(url)?;
        self.0.get(&format!("{host}:{port}")).or_else(|| self.0.get(&host)).cloned()
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Returns host and port of a URL of the web.
fn server(url: &str) -> Option<(String, u16)> {
    if let Some(Ok(address)) = SshAddress::parse(url) {
        // Files of Git LFS, beside the repository, are on the web.
        return Some((address.host, 443));
    }
    let url = url::Url::parse(url).ok()?;
    Some((url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_with_the_port_wins() {
        // US-09
        let login = |user: &str| (user.to_owned(), "x".to_owned());
        let logins: BTreeMap<_, _> =
            [("host", "plain"), ("Host:3000", "port"), ("[::1]:80", "six"), ("other:443", "https")]
                .map(|(host, user)| (host.to_owned(), login(user)))
                .into();
        let logins = Logins::new(&logins);
        for (url, user) in [
            ("http://host:3000/a.git", Some("port")),
            ("http://host/a.git", Some("plain")),
            ("https://HOST:8443/a.git", Some("plain")),
            ("http://[::1]/a.git", Some("six")),
            ("https://other/a.git", Some("https")),
            ("http://other/a.git", None),
            ("https://unknown/a.git", None),
        ] {
            assert_eq!(logins.of(url).map(|(user, _)| user).as_deref(), user, "{url}");
        }
        let one = Logins::of_server("https://host/a.git", login("one"));
        assert!(one.of("https://host/b.git").is_some() && one.of("https://host:8443/b.git").is_none());
    }
}
