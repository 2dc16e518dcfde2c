//! A fetch into a mirror: which requests it takes until the commit is here.

use super::error::SourceError;
use super::fetch_request::{CommitId, FetchSettings, Revision};
use super::mirror::{Mirror, has_commit};
use super::remote::{Announced, Remote, RemoteError, SHA256, Want};
use super::unpack::{UnpackError, Unpacking};
use git2::{ObjectType, Oid, Reference, Repository};
use std::io::Write;

/// Commits that a server is told of, so that it sends only what they lack.
const MAX_KNOWN: usize = 32;
/// Where the mirror keeps what it fetched.
const NAMESPACE: &str = "refs/slipway/";

/// A fetch in progress.
pub(crate) struct Fetch<'a> {
    mirror: &'a Mirror,
    settings: &'a FetchSettings,
    remote: Remote<'a>,
}

impl<'a> Fetch<'a> {
    /// Begins a fetch; the mirror must be locked.
    pub(crate) fn new(mirror: &'a Mirror, settings: &'a FetchSettings) -> Self {
        Fetch { mirror, settings, remote: Remote::new(mirror.url(), settings) }
    }

    /// Fetches what is wanted, unless it is here.
    pub(crate) async fn wanted(mut self, wanted: &Revision) -> Result<CommitId, SourceError> {
        match wanted {
            Revision::Commit { id, git_ref } => {
                if id.len() == 64 {
                    return Err(self.mirror.failed(RemoteError::Unsupported(SHA256)));
                }
                let id = CommitId::parse(id).ok_or_else(|| self.not_found(id))?;
                self.commit(&id, git_ref.as_deref()).await?;
                Ok(id)
            }
            Revision::Ref(name) => self.reference(name).await,
        }
    }

    async fn commit(&mut self, id: &CommitId, git_ref: Option<&str>) -> Result<(), SourceError> {
        if has_commit(&self.mirror.repository()?, id) {
            return Ok(());
        }
        // Nearly all servers give a commit by its hash, and then one request is enough.
        match self.download(&[id.oid()], git_ref, false).await {
            Ok(repository) if has_commit(&repository, id) => return Ok(()),
            // One that does not still gives the history that the commit is in.
            Ok(_)
            | Err(SourceError::Fetch { cause: RemoteError::Refused(_) | RemoteError::Malformed(_), .. })
            | Err(SourceError::Fetch { cause: RemoteError::Status(_), .. }) => {}
            Err(error) => return Err(error),
        }
        let prefix = git_ref.unwrap_or("refs/").to_owned();
        let refs = self.remote.refs(&[prefix]).await.map_err(|error| self.mirror.failed(error))?;
        let mut tips: Vec<Oid> =
            refs.iter().filter(|known| git_ref.is_none_or(|name| known.name == name)).map(|known| known.id).collect();
        tips.sort();
        tips.dedup();
        if !tips.is_empty() && has_commit(&self.download(&tips, None, true).await?, id) {
            return Ok(());
        }
        Err(self.not_found(id.as_str()))
    }

    /// Fetches what the first of the refs names that a name may mean and that the server has.
    async fn reference(&mut self, name: &str) -> Result<CommitId, SourceError> {
        let candidates =
            [name.to_owned(), format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")];
        let candidates: Vec<_> =
            candidates.into_iter().filter(|name| name == "HEAD" || Reference::is_valid_name(name)).collect();
        let refs = self.remote.refs(&candidates).await.map_err(|error| self.mirror.failed(error))?;
        let named = candidates.iter().find_map(|wanted| refs.iter().find(|known| known.name == *wanted));
        let Some(Announced { name: full, id }) = named else {
            let id = CommitId::parse(name).ok_or_else(|| {
                let (url, wanted) = (self.mirror.shown(), name.to_owned());
                SourceError::RefNotFound { url, wanted }
            })?;
            return self.commit(&id, None).await.map(|()| id);
        };
        if let Some(commit) = commit_of(&self.mirror.repository()?, *id) {
            return Ok(commit);
        }
        let repository = self.download(&[*id], Some(full), false).await?;
        commit_of(&repository, *id).ok_or_else(|| self.malformed("it did not send the commit"))
    }

    /// Downloads objects, remembers them under the name of their ref, and returns the repository that has them.
    async fn download(&mut self, ids: &[Oid], git_ref: Option<&str>, history: bool) -> Result<Repository, SourceError> {
        let mirror = self.mirror;
        let local = |error: std::io::Error| SourceError::Mirror { url: mirror.shown(), cause: error.into() };
        // The process starts while the server thinks.
        let mut unpacking = Unpacking::start(mirror.path(), self.settings.apart).map_err(local)?;
        // The parents of these are not here: a history that is to be whole is asked for as if nothing were.
        let known = if history { Vec::new() } else { known(&mirror.repository()?, git_ref) };
        let want = Want { ids, known: &known, history };
        let received = self.remote.pack(&want, unpacking.sink()).await;
        let shallow = match received {
            // The unpacker says why it does not take more.
            Err(RemoteError::Sink(error)) => Err(local(error)),
            Err(error) => return Err(mirror.failed(error)),
            Ok(shallow) => Ok(shallow),
        };
        unpacking.finish().await.map_err(|error| match error {
            UnpackError::TooLarge => SourceError::TooLarge { url: mirror.shown() },
            UnpackError::Gone => mirror.stopped("the process that unpacked is gone"),
            UnpackError::Refused(problem) => SourceError::Unpack { url: mirror.shown(), problem },
        })?;
        let shallow = shallow?;
        let repository = mirror.repository()?;
        for id in ids {
            remember(&repository, *id, git_ref)
                .map_err(|error| SourceError::Mirror { url: mirror.shown(), cause: error.into() })?;
        }
        note_shallow(mirror, &shallow).map_err(local)?;
        Ok(repository)
    }

    fn not_found(&self, commit: &str) -> SourceError {
        SourceError::CommitNotFound { url: self.mirror.shown(), commit: commit.to_owned() }
    }

    fn malformed(&self, problem: &'static str) -> SourceError {
        SourceError::Fetch { url: self.mirror.shown(), cause: RemoteError::Malformed(problem) }
    }
}

impl Mirror {
    /// Makes sure that the commit is here and returns its hash; asks nobody if it is here already.
    pub fn fetch(&self, wanted: &Revision, settings: &FetchSettings) -> Result<CommitId, SourceError> {
        let failed = |error: std::io::Error| SourceError::Mirror { url: self.shown(), cause: error.into() };
        if let Revision::Commit { id, .. } = wanted
            && let Some(id) = CommitId::parse(id)
        {
            let held = self.hold().map_err(failed)?;
            if has_commit(&self.repository()?, &id) {
                let _ = self.held.set(held);
                return Ok(id);
            }
        }
        let _locked = self.lock(&settings.cancel, settings.timeout)?;
        super::leftovers::remove(self.path());
        self.renew().map_err(failed)?;
        let found = self.bounded(settings, Fetch::new(self, settings).wanted(wanted))?;
        let _ = self.held.set(self.hold().map_err(failed)?);
        Ok(found)
    }

    /// Asks the server for the refs whose names begin with one of `prefixes`; nothing is fetched.
    pub fn refs(&self, prefixes: &[String], settings: &FetchSettings) -> Result<Vec<Announced>, SourceError> {
        let mut remote = Remote::new(&self.url, settings);
        self.bounded(settings, async { remote.refs(prefixes).await.map_err(|error| self.failed(error)) })
    }
}

/// Returns the commit that the object `id` is, or names: an annotated tag is an object of its own.
fn commit_of(repository: &Repository, id: Oid) -> Option<CommitId> {
    let commit = repository.find_object(id, None).and_then(|object| object.peel_to_commit()).ok()?;
    let id = CommitId::parse(&commit.id().to_string())?;
    has_commit(repository, &id).then_some(id)
}

/// Returns commits that are here, those of the same ref first.
fn known(repository: &Repository, git_ref: Option<&str>) -> Vec<Oid> {
    let same = git_ref.and_then(|name| repository.find_reference(&format!("{NAMESPACE}{name}")).ok());
    let others = repository.references_glob(&format!("{NAMESPACE}*")).into_iter().flatten().flatten();
    let mut known = Vec::new();
    for reference in same.into_iter().chain(others.take(MAX_KNOWN)) {
        let commit = reference.target().and_then(|id| commit_of(repository, id)).map(|id| id.oid());
        known.extend(commit.filter(|id| !known.contains(id)));
    }
    known
}

/// Keeps `id` under the name of its ref, or under its own where that is not possible.
fn remember(repository: &Repository, id: Oid, git_ref: Option<&str>) -> Result<(), git2::Error> {
    // A server that was asked for something else need not have sent it.
    if repository.odb()?.read_header(id).is_ok_and(|(_, kind)| !matches!(kind, ObjectType::Commit | ObjectType::Tag)) {
        return Ok(());
    }
    let named = git_ref.map(|name| format!("{NAMESPACE}{name}")).filter(|name| Reference::is_valid_name(name));
    // A branch `a` that was removed is in the way of a branch `a/b`.
    if named.is_some_and(|name| repository.reference(&name, id, true, "").is_ok()) {
        return Ok(());
    }
    repository.reference(&format!("{NAMESPACE}commits/{id}"), id, true, "").map(drop)
}

/// Notes for git's own tools which commits have parents that are not here.
fn note_shallow(mirror: &Mirror, shallow: &[String]) -> std::io::Result<()> {
    let ids: String =
        shallow.iter().filter_map(|id| CommitId::parse(id)).map(|id| format!("{}\n", id.as_str())).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(mirror.path().join("shallow"))?;
    file.write_all(ids.as_bytes())
}
