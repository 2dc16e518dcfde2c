//! Addresses of repositories over ssh: `ssh://user@host:port/path`, and `user@host:path`.

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshAddress {
    /// The user, nearly always `git`.
    pub user: String,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path as the server is told it.
    pub path: String,
}

impl SshAddress {
    /// Reads `url`; `None` if it is none of ssh, and what is wrong with it if it is one.
    pub(crate) fn parse(url: &str) -> Option<Result<Self, &'static str>> {
        let read = match url.strip_prefix("ssh://") {
            Some(rest) => Self::of_url(rest),
            None if url.contains("://") => return None,
            None => {
                let (server, path) = url.split_once(':')?;
                // A slash before the colon makes it a path of this machine.
                let (user, host) = server.split_once('@').filter(|_| !server.contains('/'))?;
                Self::of_parts(user, host, "22", path)
            }
        };
        Some(read)
    }

    fn of_url(rest: &str) -> Result<Self, &'static str> {
        let (server, path) = rest.split_once('/').ok_or("has no path: ssh://git@host/path.git is expected")?;
        let (user, server) = server.rsplit_once('@').unwrap_or(("git", server));
        let (host, port) = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or("22")),
            None => server.split_once(':').unwrap_or((server, "22")),
        };
        // As in git, a path from somebody's home begins with a tilde.
        let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
        Self::of_parts(user, host, port, &path)
    }

    fn of_parts(user: &str, host: &str, port: &str, path: &str) -> Result<Self, &'static str> {
        let plain = |text: &str, more: &str| {
            let fits = |char: char| char.is_ascii_alphanumeric() || more.contains(char);
            !text.is_empty() && text.chars().all(fits) && !text.starts_with('-')
        };
        if !plain(user, "._-+") {
            return Err("has a user that is none, or a password: keys are used in place of passwords");
        }
        if !plain(host, ".-:_") {
            return Err("has no host: ssh://git@host/path.git is expected");
        }
        let port = port.parse().ok().filter(|&port| port > 0).ok_or("has a port that is none")?;
        if path.is_empty() || path.starts_with('-') || path.chars().any(char::is_control) || path.contains(['?', '#']) {
            return Err("has no path that a repository may have: ssh://git@host/path.git is expected");
        }
        let (user, host) = (user.to_owned(), host.to_ascii_lowercase());
        Ok(SshAddress { user, host, port, path: path.to_owned() })
    }

    /// Returns the host, with its port where that is not the usual one.
    pub(crate) fn server(&self) -> String {
        if self.port == 22 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Returns the command that the server is asked to run: git's, with the path as one word of a shell.
    pub(crate) fn command(&self) -> String {
        format!("git-upload-pack '{}'", self.path.replace('\'', "'\\''").replace('!', "'\\!'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_a_repository() {
        let read = |url: &str| {
            let address = SshAddress::parse(url).unwrap().unwrap();
            format!("{} {} {} {}", address.user, address.host, address.port, address.path)
        };
        assert_eq!(read("git@github.com:team/app.git"), "git github.com 22 team/app.git");
        assert_eq!(read("ssh://git@Host:2222/team/app.git"), "git host 2222 /team/app.git");
        assert_eq!(read("ssh://host/~me/app.git"), "git host 22 ~me/app.git");
        assert_eq!(read("ssh://me@[::1]:22/a"), "me ::1 22 /a");
        for other in ["https://h/a.git", "file:///a", "/srv/a:b", "h:a", "./git@h:a"] {
            assert!(SshAddress::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn what_ssh_would_take_for_an_option_or_a_command_is_refused() {
        for bad in [
            "ssh://-oProxyCommand=id/a",
            "ssh://git@-oProxyCommand=id/a",
            "-oProxyCommand=id@h:a",
            "git@h:-u",
            "git@h:",
            "git@h;id:a",
            "ssh://me:pw@h/a",
            "ssh://git@h:0/a",
            "ssh://git@h",
            "ssh://git@h/a\nb",
            "git@h$(id):a",
        ] {
            assert!(SshAddress::parse(bad).is_some_and(|read| read.is_err()), "{bad}");
        }
        let quoted = SshAddress::parse("git@h:a'; id !b").unwrap().unwrap().command();
        assert_eq!(quoted, "git-upload-pack 'a'\\''; id '\\!'b'");
    }
}
