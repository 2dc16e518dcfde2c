//! A repository on a server, over smart HTTP: what its refs name, and packs of its commits.
//!
//! Version 2 of the protocol is spoken without asking first whether the server does: one request tells what a branch
//! names, one more brings the commit. Only who does not understand is asked for what it understands, which is version 0.
//! libgit2, which reads what was fetched, speaks version 0 only, in three requests, and cannot be interrupted.

mod pack;
mod packet;
mod refs;

pub use pack::Want;
pub use refs::Announced;

use super::FetchSettings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use packet::Packets;
use registry_client::{WebAnswer, WebRequest};

/// What the client calls itself; some forges give repositories to whoever is called git only.
const USER_AGENT: &str = concat!("git/2.0 (slipway ", env!("CARGO_PKG_VERSION"), ")");

/// Why a server was of no use.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It could not be reached, or may not be.
    #[error(transparent)]
    Web(registry_client::Error),
    /// It wants other credentials.
    #[error("the credentials are refused")]
    Denied,
    /// It does not know the repository.
    #[error("there is no such repository")]
    NotFound,
    /// It answered with another status.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// It said why it does not do what was asked.
    #[error("the server says: {0}")]
    Refused(String),
    /// It did not do what the protocol says.
    #[error("the server breaks the protocol: {0}")]
    Malformed(&'static str),
    /// It sends messages instead of a pack.
    #[error("the server says too much instead of sending")]
    TooTalkative,
    /// What came could not be passed on.
    #[error("passing the pack on")]
    Sink(#[source] std::io::Error),
}

impl RemoteError {
    /// Tells whether the server may only not have understood.
    fn may_be_dialect(&self) -> bool {
        matches!(self, RemoteError::NotFound | RemoteError::Status(_))
            || matches!(self, RemoteError::Refused(_) | RemoteError::Malformed(_))
    }
}

/// What a server speaks.
enum Dialect {
    /// Version 2, or it was not asked yet.
    Two,
    /// Version 0: with what else it can do, and all its refs.
    Zero { capabilities: Vec<String>, refs: Vec<Announced> },
}

/// A repository on a server.
pub struct Remote<'a> {
    url: &'a str,
    settings: &'a FetchSettings,
    dialect: Dialect,
}

impl<'a> Remote<'a> {
    /// Returns the repository at `url`; nothing is asked of it yet.
    pub fn new(url: &'a str, settings: &'a FetchSettings) -> Self {
        Remote { url, settings, dialect: Dialect::Two }
    }

    /// Finds out what the server speaks that did not understand version 2; returns `error` if it does speak that.
    async fn discover(&mut self, error: RemoteError) -> Result<(), RemoteError> {
        let answer = self.send("info/refs?service=git-upload-pack", "advertisement", None).await?;
        match refs::advertised(Packets::new(answer)).await? {
            Some((capabilities, refs)) => self.dialect = Dialect::Zero { capabilities, refs },
            None => return Err(error),
        }
        Ok(())
    }

    /// Asks the server's `git-upload-pack`.
    async fn post(&self, body: Vec<u8>) -> Result<Packets, RemoteError> {
        Ok(Packets::new(self.send("git-upload-pack", "result", Some(body)).await?))
    }

    async fn send(&self, path: &str, answers: &str, body: Option<Vec<u8>>) -> Result<WebAnswer, RemoteError> {
        let mut headers =
            vec![("user-agent", USER_AGENT.to_owned()), ("accept", format!("application/x-git-upload-pack-{answers}"))];
        if body.is_some() {
            headers.push(("content-type", "application/x-git-upload-pack-request".to_owned()));
        }
        if matches!(self.dialect, Dialect::Two) {
            headers.push(("git-protocol", "version=2".to_owned()));
        }
        let login = self.settings.credentials.as_ref();
        let request = WebRequest {
            url: format!("{}/{path}", self.url.trim_end_matches('/')),
            reach: self.settings.reach,
            elsewhere: self.settings.elsewhere,
            headers,
            authorization: login
                .map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))),
            body: body.map(Into::into),
        };
        let answer = self.settings.client.ask(&request).await.map_err(RemoteError::Web)?;
        match answer.status() {
            200 => {}
            401 | 403 => return Err(RemoteError::Denied),
            404 => return Err(RemoteError::NotFound),
            status => return Err(RemoteError::Status(status)),
        }
        let kind = answer.header("content-type").unwrap_or_default();
        if kind != format!("application/x-git-upload-pack-{answers}") {
            return Err(RemoteError::Malformed("its answer is not one of git's: is this the URL of a repository?"));
        }
        Ok(answer)
    }
}

/// Returns what a server said, so that it can be shown.
fn said(text: &[u8]) -> RemoteError {
    /// Characters that are shown.
    const SHOWN: usize = 300;
    let text: String = String::from_utf8_lossy(text).trim().chars().take(SHOWN).collect();
    RemoteError::Refused(crate::dockerfile::printable(&text))
}
