//! Bare mirrors: one per repository, one commit at a time, nothing checked out.

use super::error::SourceError;
use super::fetch_request::{CommitId, FetchSettings};
use super::remote::RemoteError;
use super::ssh::{SshAddress, SshFailure};
use super::url::check;
use super::without_credentials;
use git2::Repository;
use runtime::CancellationToken;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often the lock of a mirror is tried while another process has it: nothing tells when it is free.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A bare repository that keeps what was fetched.
#[derive(Debug, Clone)]
pub struct Mirror {
    path: PathBuf,
    pub(super) url: String,
    /// Keeps it as it is once a commit was found in it.
    pub(super) held: Arc<OnceLock<File>>,
}

impl Mirror {
    /// Opens the mirror of `url` in `directory`, empty at first.
    pub fn open(directory: &Path, url: &str) -> Result<Self, SourceError> {
        check(url)?;
        let shown = without_credentials(url);
        let failed =
            |cause: Box<dyn std::error::Error + Send + Sync>| SourceError::Mirror { url: shown.clone(), cause };
        fs::create_dir_all(directory).map_err(|error| failed(error.into()))?;
        let name = &blake3::hash(url.as_bytes()).to_hex()[..32];
        let path = directory.join(format!("{name}.git"));
        let mirror = Mirror { path, url: url.to_owned(), held: Arc::default() };
        let _used = mirror.hold().map_err(|error| failed(error.into()))?;
        if !mirror.path.join("HEAD").exists() {
            let _held = mirror.lock(&CancellationToken::new(), Duration::from_secs(60))?;
            Repository::init_bare(&mirror.path).map_err(|error| failed(error.into()))?;
        }
        Ok(mirror)
    }

    /// Returns where the repository is on disk.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the repository on disk.
    pub(super) fn repository(&self) -> Result<Repository, SourceError> {
        Repository::open_bare(&self.path)
            .map_err(|error| SourceError::Mirror { url: self.shown(), cause: error.into() })
    }

    /// Returns its URL as it may be shown.
    pub fn shown(&self) -> String {
        without_credentials(&self.url)
    }

    /// Does `work` until it is done, takes too long or is cancelled.
    pub(super) fn bounded<T>(
        &self,
        settings: &FetchSettings,
        work: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        settings.tokio.block_on(async {
            tokio::select! {
                result = work => result,
                () = settings.cancel.cancelled() => Err(self.stopped("the build was cancelled")),
                () = tokio::time::sleep(settings.timeout) => Err(self.too_slow(settings.timeout)),
            }
        })
    }

    /// Returns the URL to fetch from.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn stopped(&self, reason: &'static str) -> SourceError {
        SourceError::Stopped { url: self.shown(), reason }
    }

    fn too_slow(&self, limit: Duration) -> SourceError {
        SourceError::TooSlow { url: self.shown(), limit: crate::duration::shown(limit) }
    }

    /// Says what a server's failure means for the fetch.
    pub(super) fn failed(&self, cause: RemoteError) -> SourceError {
        let url = self.shown();
        match cause {
            RemoteError::Denied { shown } => SourceError::Denied { host: host_of(&self.url), url, shown },
            RemoteError::Ssh(SshFailure::HostKey { found, is_known }) => {
                SourceError::HostKey { host: host_of(&self.url), url, found, is_known }
            }
            RemoteError::Ssh(SshFailure::Denied { shown }) => SourceError::KeyDenied { url, shown },
            RemoteError::Ssh(SshFailure::NotFound) => SourceError::RepositoryNotFound { url },
            RemoteError::Unsupported(problem) => SourceError::Unsupported { url, problem },
            RemoteError::NotFound => SourceError::RepositoryNotFound { url },
            RemoteError::TooTalkative => self.stopped("the server said too much instead of sending"),
            RemoteError::Web(error) => match *error {
                registry_client::Error::NotAllowed(problem) => SourceError::NotAllowed(problem),
                error => SourceError::Fetch { url, cause: error.into() },
            },
            cause => SourceError::Fetch { url, cause },
        }
    }

    /// Waits until no other process fetches into the mirror.
    pub(super) fn lock(&self, cancel: &CancellationToken, patience: Duration) -> Result<File, SourceError> {
        let path = self.path.with_extension("lock");
        let failed = |cause: std::io::Error| SourceError::Mirror { url: self.shown(), cause: cause.into() };
        let file = File::create(&path).map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
                Err(fs::TryLockError::WouldBlock) if cancel.is_cancelled() => {
                    return Err(self.stopped("the build was cancelled"));
                }
                Err(fs::TryLockError::WouldBlock) if Instant::now() > deadline => {
                    return Err(self.stopped("another fetch into the same mirror does not end"));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    cancel.wait_timeout(LOCK_POLL_INTERVAL);
                }
            }
        }
    }
}

/// Returns the host of a URL, with its port if it has one.
fn host_of(url: &str) -> String {
    if let Some(Ok(address)) = SshAddress::parse(url) {
        return address.server();
    }
    let url = url::Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
    host.map_or_else(String::new, |(host, port)| port.map_or(host.to_owned(), |port| format!("{host}:{port}")))
}

/// Returns whether the commit and its tree are here: a commit without its tree was left by a fetch that was killed.
pub(super) fn has_commit(repository: &Repository, id: &CommitId) -> bool {
    repository.find_commit(id.oid()).and_then(|commit| commit.tree()).is_ok()
}
