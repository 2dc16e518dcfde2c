//! Requests to a git server, and which version of the protocol it speaks.

use super::advertised::{self, Advertised, Announced};
use super::error::RemoteError;
use super::packet::Packets;
use crate::git::fetch_request::FetchSettings;
use crate::git::ssh::{SshAddress, SshFailure, SshSession};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use registry_client::{WebAnswer, WebRequest, is_same_server, may_be_told};

/// User agent of the client. Some forges give repositories only to clients called git.
const USER_AGENT: &str = concat!("git/2.0 (slipway ", env!("CARGO_PKG_VERSION"), ")");

/// The error of a repository over ssh that is not one of a server's.
const NO_SSH: &str =
    "only repositories of a server are fetched over ssh, with their deploy keys: use the https URL with a token";

/// The version of the protocol that a server speaks.
pub(super) enum Dialect {
    /// Version 2, or it was not asked yet.
    Two {
        /// Whether it sends a part of the history.
        shallow: bool,
    },
    /// Version 0: with what else it can do, and all its refs.
    Zero { capabilities: Vec<String>, refs: Vec<Announced> },
}

/// A repository on a server.
pub(crate) struct Remote<'a> {
    /// Where it was asked for; the login is for there.
    pub(super) url: &'a str,
    /// Where it is, after what the server redirected.
    pub(super) base: String,
    pub(super) settings: &'a FetchSettings,
    pub(super) dialect: Dialect,
}

impl<'a> Remote<'a> {
    /// Returns the repository at `url`; nothing is asked of it yet.
    pub(crate) fn new(url: &'a str, settings: &'a FetchSettings) -> Self {
        let base = url.trim_end_matches('/').to_owned();
        Remote { url, base, settings, dialect: Dialect::Two { shallow: true } }
    }

    /// Finds out where the repository is and what the server speaks, which did not understand what it was asked; returns
    /// `error` if that is nothing new.
    pub(super) async fn discover(&mut self, error: RemoteError) -> Result<(), RemoteError> {
        if SshAddress::parse(self.url).is_some() {
            // A session begins with what the server speaks.
            return if matches!(self.dialect, Dialect::Zero { .. }) { Ok(()) } else { Err(error) };
        }
        let before = self.base.clone();
        let answer = match self.send("info/refs?service=git-upload-pack", "advertisement", None).await {
            Ok(answer) => answer,
            // A repository that moved is asked where it is now, even if the redirect lost the request.
            Err(RemoteError::Malformed(_)) if self.base != before => return Ok(()),
            Err(error) => return Err(error),
        };
        match advertised::advertised(&mut Packets::new(answer)).await? {
            Advertised::Zero { capabilities, refs } => self.dialect = Dialect::Zero { capabilities, refs },
            Advertised::Two { capabilities } => {
                let fetch = capabilities.iter().find_map(|known| known.strip_prefix("fetch="));
                let shallow = fetch.is_some_and(|features| features.split(' ').any(|known| known == "shallow"));
                if self.base == before && shallow {
                    return Err(error);
                }
                self.dialect = Dialect::Two { shallow };
            }
        }
        Ok(())
    }

    /// Asks the server's `git-upload-pack`.
    pub(super) async fn post(&mut self, body: Vec<u8>) -> Result<Packets, RemoteError> {
        match SshAddress::parse(self.url) {
            Some(address) => self.over_ssh(&address.map_err(RemoteError::Malformed)?, &body).await,
            None => Ok(Packets::new(self.send("git-upload-pack", "result", Some(body)).await?)),
        }
    }

    /// Asks the server in a session of its own.
    async fn over_ssh(&mut self, address: &SshAddress, body: &[u8]) -> Result<Packets, RemoteError> {
        let settings = self.settings;
        let Some(access) = &settings.ssh else { return Err(RemoteError::Unsupported(NO_SSH)) };
        let found = settings.client.addresses(&address.host, address.port, settings.reach).await;
        let ip = found.map_err(RemoteError::from)?.first().copied();
        let ip = ip.ok_or(RemoteError::Malformed("its host has no address"))?;
        let local = |error: std::io::Error| RemoteError::Ssh(SshFailure::Other(format!("starting ssh: {error}")));
        let mut packets = Packets::of_session(SshSession::start(address, ip, access).map_err(local)?);
        match advertised::advertised(&mut packets).await? {
            Advertised::Zero { capabilities, refs } if matches!(self.dialect, Dialect::Two { .. }) => {
                self.dialect = Dialect::Zero { capabilities, refs };
                return Err(RemoteError::Malformed("it speaks another version of the protocol"));
            }
            Advertised::Zero { .. } | Advertised::Two { .. } => {}
        }
        if let Some(session) = packets.session() {
            session.send(body).await.map_err(local)?;
        }
        Ok(packets)
    }

    /// Sends a request; where it is redirected to, all that follow are sent, as git does it.
    async fn send(&mut self, path: &str, answers: &str, body: Option<Vec<u8>>) -> Result<WebAnswer, RemoteError> {
        let mut headers =
            vec![("user-agent", USER_AGENT.to_owned()), ("accept", format!("application/x-git-upload-pack-{answers}"))];
        if body.is_some() {
            headers.push(("content-type", "application/x-git-upload-pack-request".to_owned()));
        }
        if matches!(self.dialect, Dialect::Two { .. }) {
            headers.push(("git-protocol", "version=2".to_owned()));
        }
        let (same, told) = self.trusted();
        let login = self.settings.credentials.as_ref().filter(|_| told);
        let request = WebRequest {
            url: format!("{}/{path}", self.base),
            reach: if same { self.settings.reach } else { self.settings.elsewhere },
            elsewhere: self.settings.elsewhere,
            headers,
            private_headers: Vec::new(),
            authorization: login
                .map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))),
            body: body.map(Into::into),
        };
        let answer = self.settings.client.ask(&request).await.map_err(RemoteError::from)?;
        self.follow(answer.url(), path, &request.url)?;
        match answer.status() {
            200 => {}
            401 | 403 => return Err(RemoteError::Denied { shown: login.is_some() || has_login(&self.base) }),
            404 => return Err(RemoteError::NotFound),
            status => return Err(RemoteError::Status(status)),
        }
        let kind = answer.header("content-type").unwrap_or_default();
        if kind != format!("application/x-git-upload-pack-{answers}") {
            return Err(RemoteError::Malformed("its answer is not one of git's: is this the URL of a repository?"));
        }
        Ok(answer)
    }

    /// Returns whether the repository is on the server that it was asked for at, and whether that may be shown the login.
    fn trusted(&self) -> (bool, bool) {
        match (url::Url::parse(&self.base), url::Url::parse(self.url)) {
            (Ok(base), Ok(asked)) => (is_same_server(&base, &asked), may_be_told(&base, &asked)),
            _ => (false, false),
        }
    }

    /// Takes note of where a request for `path` was redirected to.
    fn follow(&mut self, answered: &url::Url, path: &str, asked: &str) -> Result<(), RemoteError> {
        if url::Url::parse(asked).is_ok_and(|asked| asked == *answered) {
            return Ok(());
        }
        let path = path.split('?').next().unwrap_or(path);
        let mut plain = answered.clone();
        plain.set_query(None);
        plain.set_fragment(None);
        let base = plain.as_str().strip_suffix(path).and_then(|base| base.strip_suffix('/'));
        match base {
            Some(base) => base.clone_into(&mut self.base),
            // A page where one logs in, or that says that nothing is there.
            None => return Err(RemoteError::Malformed("it redirects to an address that is not one of a repository")),
        }
        Ok(())
    }
}

/// Returns whether a URL holds a login itself.
fn has_login(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| !url.username().is_empty())
}
