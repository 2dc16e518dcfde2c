//! The submodules of a commit, and theirs: each is fetched into a mirror of its own, several side by side.
//!
//! A `.gitmodules` is not the operator's word: whoever may push a commit writes it. It decides what is fetched, never with
//! which login or at which addresses.

use super::commit::CommitTree;
use super::error::SourceError;
use super::fetch_request::{FetchSettings, Revision};
use super::lfs_server::LfsAccess;
use super::logins::Logins;
use super::mirror::Mirror;
use super::modules::{absolute, parse};
use super::side_by_side::side_by_side;
use super::ssh::{SshAccess, SshAddress};
use super::without_credentials;
use files::path::{clean_path, join};
use files::view::{EntryKind, View, ViewError};
use registry_client::{Reach, is_same_server};
use std::io::Read;
use std::path::PathBuf;
use url::Url;

/// Submodules of submodules that are followed.
const MAX_DEPTH: usize = 8;
/// Submodules of one commit, all together.
const MAX_SUBMODULES: usize = 256;
/// Bytes of a `.gitmodules` that are read.
const MAX_MODULES_FILE: u64 = 1024 * 1024;

/// How submodules are fetched.
#[derive(Clone)]
pub struct SubmoduleAccess {
    /// Directory of their mirrors. It is shared only by builds that may see the same repositories: who names a commit that
    /// another build fetched with a login must not have it for that.
    pub mirrors: PathBuf,
    /// How the repository itself is fetched. The addresses of its server count for submodules on the same server.
    pub settings: FetchSettings,
    /// Logins that the repository's own submodules are fetched with; `None` where strangers may have named them.
    pub logins: Option<Logins>,
    /// Addresses that other servers may have.
    pub elsewhere: Reach,
    /// How the files are fetched that Git LFS keeps, if they are.
    pub lfs: Option<LfsAccess>,
}

/// A submodule that was fetched.
pub(super) struct Submodule {
    /// Where it stands in the outermost tree.
    pub path: Vec<u8>,
    /// Its files.
    pub tree: CommitTree,
}

/// A submodule that a tree names.
struct Named {
    path: Vec<u8>,
    url: String,
    commit: String,
    /// Whether the logins are for it.
    may_login: bool,
}

/// Fetches the submodules of `root`, a commit of `url`, whose paths are `needed`.
pub(super) fn fetch(
    root: &CommitTree,
    url: &str,
    access: &SubmoduleAccess,
    needed: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<Submodule>, SourceError> {
    let mut found: Vec<Submodule> = Vec::new();
    let mut level: Vec<Named> = named(root, b"", url, |_| true)?;
    for depth in 0.. {
        level.retain(|module| needed(&module.path));
        let Some(first) = level.first() else { break };
        if depth >= MAX_DEPTH || found.len() + level.len() > MAX_SUBMODULES {
            let problem = format!(
                "has submodules down to `{}` ({}), more than are followed: {MAX_DEPTH} levels and {MAX_SUBMODULES} in all",
                String::from_utf8_lossy(&first.path),
                without_credentials(&first.url)
            );
            return Err(SourceError::GitUrl { url: without_credentials(url), problem });
        }
        let trees = side_by_side(&level, |module| module.fetch(url, access).map_err(|cause| module.failed(cause)))?;
        let mut next = Vec::new();
        for (module, tree) in level.into_iter().zip(trees) {
            // A submodule speaks for its own server alone: what it names elsewhere gets no login, not even of the first.
            let may_login = |inner: &str| module.may_login && is_same(inner, &module.url);
            next.extend(named(&tree, &module.path, &module.url, may_login).map_err(|cause| module.failed(cause))?);
            found.push(Submodule { path: module.path, tree });
        }
        level = next;
    }
    Ok(found)
}

impl Named {
    fn fetch(&self, root: &str, access: &SubmoduleAccess) -> Result<CommitTree, SourceError> {
        let mut settings = access.settings.clone();
        let logins = access.logins.as_ref().filter(|_| self.may_login);
        settings.credentials = logins.and_then(|logins| logins.of(&self.url));
        if logins.is_none() {
            settings.ssh = settings.ssh.map(|ssh| SshAccess { key: None, ..ssh });
        }
        if !is_same(&self.url, root) {
            settings.reach = access.elsewhere;
        }
        // A commit that was fetched with a login is not there for those who have none.
        let mirrors = if self.may_login { access.mirrors.clone() } else { access.mirrors.join("without-login") };
        let mirror = Mirror::open(&mirrors, &self.url)?;
        let wanted = Revision::Commit { id: self.commit.clone(), git_ref: None };
        let id = mirror.fetch(&wanted, &settings).map_err(|error| match error {
            SourceError::Denied { url, shown: false, .. } | SourceError::KeyDenied { url, shown: false }
                if logins.is_none() =>
            {
                SourceError::LoginWithheld { url }
            }
            error => error,
        })?;
        let tree = CommitTree::open(&mirror, &id, "")?;
        Ok(match &access.lfs {
            Some(lfs) => tree.with_lfs(lfs, &self.url, &settings),
            None => tree,
        })
    }

    fn failed(&self, cause: SourceError) -> SourceError {
        SourceError::Submodule {
            path: dockerfile::printable(&String::from_utf8_lossy(&self.path)),
            url: without_credentials(&self.url),
            commit: self.commit.clone(),
            cause: Box::new(cause),
        }
    }
}

/// Returns whether two URLs are on one server.
fn is_same(one: &str, other: &str) -> bool {
    if let (Some(Ok(one)), Some(Ok(other))) = (SshAddress::parse(one), SshAddress::parse(other)) {
        return (one.host, one.port) == (other.host, other.port);
    }
    matches!((Url::parse(one), Url::parse(other)), (Ok(one), Ok(other)) if one.host().is_some()
        && one.scheme() == other.scheme() && is_same_server(&one, &other))
}

/// Reads the submodules that `tree`, a commit of `url` that stands at `at`, has; relative URLs start at its own.
fn named(tree: &CommitTree, at: &[u8], url: &str, may_login: impl Fn(&str) -> bool) -> Result<Vec<Named>, SourceError> {
    let failed = |cause: ViewError| SourceError::Mirror { url: without_credentials(url), cause: cause.into() };
    // As for git, a link is not a `.gitmodules`.
    let Some(EntryKind::File { size }) = tree.lookup(b".gitmodules").map_err(failed)?.map(|node| node.kind) else {
        return Ok(Vec::new());
    };
    if size > MAX_MODULES_FILE {
        let problem = format!("has a .gitmodules of {size} bytes; {MAX_MODULES_FILE} are read");
        return Err(SourceError::GitUrl { url: without_credentials(url), problem });
    }
    let mut text = Vec::new();
    let read = tree.open_file(b".gitmodules").map_err(failed)?.read_to_end(&mut text);
    read.map_err(|cause| SourceError::Mirror { url: without_credentials(url), cause: cause.into() })?;
    let mut found: Vec<Named> = Vec::new();
    for module in parse(&String::from_utf8_lossy(&text)) {
        let path = clean_path(module.path.as_bytes());
        let whole = join(at, &path);
        // A step that takes the directory of one that is left out fails.
        let Some(commit) = tree.submodule(&path).filter(|_| !module.is_left_out) else { continue };
        if found.iter().any(|known| known.path == whole) {
            continue;
        }
        let own = absolute(url, &module.url);
        let may_login = may_login(&own);
        found.push(Named { path: whole, url: own, commit, may_login });
    }
    Ok(found)
}
