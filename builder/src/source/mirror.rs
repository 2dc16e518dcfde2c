//! Bare mirrors: one per repository, one commit at a time, nothing checked out.

use super::SourceError;
use super::url::{check, without_credentials};
use git2::{
    AutotagOption, Cred, Direction, ErrorClass, ErrorCode, FetchOptions, Oid, ProxyOptions, RemoteCallbacks, Repository,
};
use registry_client::Reach;
use runtime::Cancel;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often waiting looks whether the build was cancelled.
const PATIENCE: Duration = Duration::from_millis(50);
/// Bytes of progress messages after which a server is not listened to any longer.
const MAX_CHATTER: usize = 1024 * 1024;
/// libgit2's way to ask for the whole history of a shallow repository.
const WHOLE_HISTORY: i32 = i32::MAX;

/// The full hash of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitId(String);

impl CommitId {
    /// Takes 40 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| CommitId(text.to_owned()))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn oid(&self) -> Oid {
        Oid::from_str(&self.0).expect("40 hexadecimal digits are an object id")
    }
}

/// Which commit is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Wanted {
    /// A commit, and the ref it was pushed to, which helps to find it.
    Commit {
        /// Full hash.
        id: String,
        /// Full name of the ref.
        git_ref: Option<String>,
    },
    /// Whatever a branch, a tag, a full ref name or a hash names now; `HEAD` for the default branch.
    Ref(String),
}

/// How to fetch.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// How long it may take.
    pub timeout: Duration,
    /// Ends it before.
    pub cancel: Cancel,
    /// What may be connected to.
    pub reach: Reach,
    /// Whether a process of its own does it: see [`super::enter_if_asked`], which the program must call.
    pub apart: bool,
}

/// A bare repository that keeps what was fetched.
#[derive(Debug, Clone)]
pub struct Mirror {
    path: PathBuf,
    url: String,
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
        let mirror = Mirror { path, url: url.to_owned() };
        if !mirror.path.join("HEAD").exists() {
            let _held = mirror.lock(&Cancel::new(), Duration::from_secs(60))?;
            Repository::init_bare(&mirror.path).map_err(|error| failed(error.into()))?;
        }
        Ok(mirror)
    }

    /// Returns the mirror that is at `path` already.
    pub(super) fn at(path: PathBuf, url: String) -> Self {
        Mirror { path, url }
    }

    /// Returns where the mirror is and of what.
    pub(super) fn place(&self) -> (PathBuf, String) {
        (self.path.clone(), self.url.clone())
    }

    /// Opens the repository on disk.
    pub(super) fn repository(&self) -> Result<Repository, SourceError> {
        Repository::open_bare(&self.path)
            .map_err(|error| SourceError::Mirror { url: self.shown(), cause: error.into() })
    }

    pub(super) fn shown(&self) -> String {
        without_credentials(&self.url)
    }

    /// Makes sure that the commit is here and returns its hash; asks nobody if it is here already.
    pub fn fetch(&self, wanted: &Wanted, settings: &FetchSettings) -> Result<CommitId, SourceError> {
        if let Wanted::Commit { id, .. } = wanted
            && let Some(id) = CommitId::parse(id)
            && has_commit(&self.repository()?, &id)
        {
            return Ok(id);
        }
        if settings.reach == Reach::PublicOnly {
            super::url::check_public(&self.url)?;
        }
        let _held = self.lock(&settings.cancel, settings.timeout)?;
        super::leftovers::remove(&self.path);
        if settings.apart {
            return super::apart::fetch(self, wanted, settings);
        }
        let (sender, receiver) = channel();
        let (mirror, wanted, settings_there) = (self.clone(), wanted.clone(), settings.clone());
        // libgit2 cannot be interrupted while a server is silent: its thread is left behind then.
        std::thread::spawn(move || drop(sender.send(mirror.fetch_now(&wanted, &settings_there))));
        let deadline = Instant::now() + settings.timeout;
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(self.stopped("the thread that fetches is gone")),
                Err(RecvTimeoutError::Timeout) if settings.cancel.is_cancelled() => {
                    return Err(self.stopped("the build was cancelled"));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    return Err(self.too_slow(settings.timeout));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    pub(super) fn stopped(&self, reason: &'static str) -> SourceError {
        SourceError::Stopped { url: self.shown(), reason }
    }

    pub(super) fn too_slow(&self, limit: Duration) -> SourceError {
        SourceError::TooSlow { url: self.shown(), limit: crate::limit::shown(limit) }
    }

    pub(super) fn fetch_now(&self, wanted: &Wanted, settings: &FetchSettings) -> Result<CommitId, SourceError> {
        let repository = self.repository()?;
        let fetch = Fetch { mirror: self, repository: &repository, settings, said: Cell::new(0) };
        match wanted {
            Wanted::Commit { id, git_ref } => {
                let not_found = || SourceError::CommitNotFound { url: self.shown(), commit: id.clone() };
                let id = CommitId::parse(id).ok_or_else(not_found)?;
                fetch.commit(&id, git_ref.as_deref())?;
                Ok(id)
            }
            Wanted::Ref(name) => fetch.reference(name),
        }
    }

    /// Waits until no other process fetches into the mirror.
    fn lock(&self, cancel: &Cancel, patience: Duration) -> Result<File, SourceError> {
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
                Err(fs::TryLockError::WouldBlock) => std::thread::sleep(PATIENCE),
            }
        }
    }
}

/// Tells whether the commit and its tree are here: a commit without its tree was left by a fetch that was killed.
fn has_commit(repository: &Repository, id: &CommitId) -> bool {
    repository.find_commit(id.oid()).and_then(|commit| commit.tree()).is_ok()
}

/// A fetch in progress.
struct Fetch<'a> {
    mirror: &'a Mirror,
    repository: &'a Repository,
    settings: &'a FetchSettings,
    /// Bytes of progress messages so far.
    said: Cell<usize>,
}

impl Fetch<'_> {
    fn commit(&self, id: &CommitId, git_ref: Option<&str>) -> Result<(), SourceError> {
        let here = || has_commit(self.repository, id);
        if here() {
            return Ok(());
        }
        // The tip of its ref is the usual case and needs no more than one round trip with any server.
        if let Some(git_ref) = git_ref {
            match self.download(&format!("+{git_ref}:refs/slipway/{git_ref}"), 1) {
                Ok(()) if here() => return Ok(()),
                Ok(()) | Err(SourceError::Fetch { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let by_hash = self.download(&format!("+{}:refs/slipway/commits/{}", id.as_str(), id.as_str()), 1);
        if by_hash.is_ok() && here() {
            return Ok(());
        }
        // A server that gives no commit by its hash still gives the history that it is in.
        let spec = git_ref.map_or_else(
            || "+refs/*:refs/slipway/*".to_owned(),
            |git_ref| format!("+{git_ref}:refs/slipway/{git_ref}"),
        );
        let whole = self.download(&spec, WHOLE_HISTORY);
        if here() {
            return Ok(());
        }
        match whole {
            Err(
                error @ (SourceError::Denied { .. }
                | SourceError::RepositoryNotFound { .. }
                | SourceError::Stopped { .. }),
            ) => Err(error),
            Err(error @ SourceError::Fetch { .. }) if by_hash.is_err() && is_network(&error) => Err(error),
            _ => Err(SourceError::CommitNotFound { url: self.mirror.shown(), commit: id.as_str().to_owned() }),
        }
    }

    fn reference(&self, name: &str) -> Result<CommitId, SourceError> {
        match self.settings.reach {
            Reach::Anywhere => self.announced(name),
            // Asking for all refs follows redirects, asking for one does not.
            Reach::PublicOnly => self.guessed(name),
        }
    }

    /// Fetches the first of the refs that a name may mean and that the server has.
    fn guessed(&self, name: &str) -> Result<CommitId, SourceError> {
        let candidates =
            [name.to_owned(), format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")];
        for full in candidates.iter().filter(|name| *name == "HEAD" || name.starts_with("refs/")) {
            let local = format!("refs/slipway/{full}");
            // What an earlier fetch left must not stand in for what the server no longer has.
            if let Ok(mut old) = self.repository.find_reference(&local) {
                old.delete().map_err(|error| self.failed(error))?;
            }
            match self.download(&format!("+{full}:{local}"), 1) {
                Ok(()) | Err(SourceError::Fetch { .. }) => {}
                Err(error) => return Err(error),
            }
            let fetched = self.repository.refname_to_id(&local).ok().and_then(|id| self.commit_of(id));
            if let Some(commit) = fetched {
                return Ok(commit);
            }
        }
        match CommitId::parse(name) {
            Some(id) => self.commit(&id, None).map(|()| id),
            None => Err(SourceError::RefNotFound { url: self.mirror.shown(), wanted: name.to_owned() }),
        }
    }

    /// Finds what a name means and fetches it over the same connection, unless it is here already.
    fn announced(&self, name: &str) -> Result<CommitId, SourceError> {
        let mut remote = self.remote()?;
        let mut connection = remote
            .connect_auth(Direction::Fetch, Some(self.callbacks()), Some(proxy()))
            .map_err(|error| self.failed(error))?;
        let heads = connection.list().map_err(|error| self.failed(error))?;
        let candidates =
            [name.to_owned(), format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")];
        let found = candidates.iter().find_map(|wanted| heads.iter().find(|head| head.name() == wanted));
        let Some((full, id)) = found.map(|head| (head.name().to_owned(), head.oid())) else {
            drop(connection);
            return match CommitId::parse(name) {
                Some(id) => self.commit(&id, None).map(|()| id),
                None => Err(SourceError::RefNotFound { url: self.mirror.shown(), wanted: name.to_owned() }),
            };
        };
        if let Some(commit) = self.commit_of(id) {
            return Ok(commit);
        }
        self.fetch(connection.remote(), &format!("+{full}:refs/slipway/{full}"), 1)?;
        self.commit_of(id).ok_or_else(|| self.failed(git2::Error::from_str("the server did not send the commit")))
    }

    /// Returns the commit that the object `id` is, or names: an annotated tag is an object of its own.
    fn commit_of(&self, id: Oid) -> Option<CommitId> {
        let commit = self.repository.find_object(id, None).and_then(|object| object.peel_to_commit()).ok()?;
        let id = CommitId(commit.id().to_string());
        has_commit(self.repository, &id).then_some(id)
    }

    fn remote(&self) -> Result<git2::Remote<'_>, SourceError> {
        self.repository.remote_anonymous(&self.mirror.url).map_err(|error| self.failed(error))
    }

    fn download(&self, refspec: &str, depth: i32) -> Result<(), SourceError> {
        self.fetch(&mut self.remote()?, refspec, depth)
    }

    fn fetch(&self, remote: &mut git2::Remote<'_>, refspec: &str, depth: i32) -> Result<(), SourceError> {
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(self.callbacks())
            .download_tags(AutotagOption::None)
            .update_fetchhead(false)
            .depth(depth);
        options.proxy_options(proxy());
        if self.settings.reach == Reach::PublicOnly {
            // The address of the URL was checked; where it redirects to was not.
            options.follow_redirects(git2::RemoteRedirect::None);
        }
        remote.fetch(&[refspec], Some(&mut options), None).map_err(|error| self.failed(error))
    }

    fn callbacks(&self) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        let mut asked = false;
        callbacks.credentials(move |_, _, _| {
            let refused = || git2::Error::new(ErrorCode::Auth, ErrorClass::Http, "the credentials were refused");
            let (user, password) = self.settings.credentials.as_ref().filter(|_| !asked).ok_or_else(refused)?;
            asked = true;
            Cred::userpass_plaintext(user, password)
        });
        let cancel = self.settings.cancel.clone();
        callbacks.transfer_progress(move |_| !cancel.is_cancelled());
        callbacks.sideband_progress(|text| {
            self.said.set(self.said.get() + text.len());
            self.said.get() <= MAX_CHATTER
        });
        callbacks
    }

    fn failed(&self, cause: git2::Error) -> SourceError {
        let url = self.mirror.shown();
        if self.said.get() > MAX_CHATTER {
            return self.mirror.stopped("the server said too much instead of sending");
        }
        let text = cause.message().to_owned();
        match cause.code() {
            ErrorCode::Auth => SourceError::Denied { url },
            _ if text.contains("status code: 401") || text.contains("status code: 403") => SourceError::Denied { url },
            _ if text.contains("status code: 404") => SourceError::RepositoryNotFound { url },
            _ if cause.class() == ErrorClass::NoMemory || text.contains("overly large") => {
                SourceError::TooLarge { url }
            }
            _ => SourceError::Fetch { url, cause },
        }
    }
}

fn proxy() -> ProxyOptions<'static> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

fn is_network(error: &SourceError) -> bool {
    matches!(error, SourceError::Fetch { cause, .. } if matches!(cause.class(), ErrorClass::Net | ErrorClass::Ssl | ErrorClass::Os | ErrorClass::Http))
}
