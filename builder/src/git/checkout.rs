//! A commit with its submodules, and with `.git` where that is wanted, seen as one tree; nothing is checked out.

use super::commit::CommitTree;
use super::directory::Directory;
use super::error::SourceError;
use super::fetch_request::{Fetching, Revision};
use super::mirror::Mirror;
use super::url::GitContext;
use super::{gitdir, without_credentials};
use files::path::{clean_path, join};
use files::tree::resolve_in;
use files::view::{ContentId, EntryKind, Node, View, ViewError};
use std::io::Read;

/// Submodules of submodules that are followed.
const MAX_DEPTH: usize = 8;
/// Submodules of one commit, all together.
const MAX_SUBMODULES: usize = 256;
/// Bytes of a `.gitmodules` that are read.
const MAX_MODULES_FILE: u64 = 1024 * 1024;

/// A commit, or a directory of it, with what other repositories put into it.
pub struct Checkout {
    root: CommitTree,
    parts: Vec<Part>,
    /// The directory that is seen.
    prefix: Vec<u8>,
    /// Whether nobody wants the submodules.
    without_submodules: bool,
    /// Keeps a `.git` on disk until it was read.
    _git_dir: Option<tempfile::TempDir>,
}

/// A tree that is mounted into a commit's.
struct Part {
    path: Vec<u8>,
    tree: Tree,
}

enum Tree {
    Submodule(CommitTree),
    GitDir(Directory),
}

impl Checkout {
    /// Fetches what `git` names.
    pub fn fetch(git: &GitContext, fetching: &Fetching, keep_git_dir: bool) -> Result<Self, SourceError> {
        let mirror = Mirror::open(&fetching.mirrors, &git.url)?;
        let wanted = match (&git.reference, &git.checksum) {
            (Some(reference), _) => Revision::Ref(reference.clone()),
            (None, Some(commit)) if commit.len() == 40 => Revision::Commit { id: commit.clone(), git_ref: None },
            (None, _) => Revision::Ref("HEAD".to_owned()),
        };
        let commit = mirror.fetch(&wanted, &fetching.settings)?;
        git.check_commit(commit.as_str())?;
        let root = CommitTree::open(&mirror, &commit, "")?;
        let mut parts = Vec::new();
        if !git.without_submodules {
            add_submodules(&mut parts, &root, b"", &git.url, fetching, MAX_DEPTH)?;
        }
        let mut kept = None;
        if keep_git_dir && git.subdir.is_empty() {
            let directory = gitdir::create(&mirror, &commit, &git.url, fetching.max_paths)?;
            parts.push(Part { path: b".git".to_vec(), tree: Tree::GitDir(Directory::open(directory.path(), None)?) });
            kept = Some(directory);
        }
        let (prefix, without_submodules) = (Vec::new(), git.without_submodules);
        Checkout { root, parts, prefix, without_submodules, _git_dir: kept }.below(&git.subdir)
    }

    /// Narrows the view to the directory `path`; links are followed within the commit.
    fn below(mut self, path: &str) -> Result<Self, SourceError> {
        let resolved = resolve_in(&clean_path(path.as_bytes()), |path| self.lookup(path).ok().flatten());
        let found = resolved.ok().filter(|path| {
            path.is_empty() || matches!(self.lookup(path), Ok(Some(Node { kind: EntryKind::Directory, .. })))
        });
        self.prefix = found.ok_or_else(|| SourceError::ContextNotFound(path.to_owned()))?;
        Ok(self)
    }

    /// Returns the commit's hash.
    pub fn id(&self) -> &str {
        self.root.id()
    }

    /// Returns the commit's time in seconds since 1970.
    pub fn commit_time(&self) -> i64 {
        self.root.commit_time()
    }

    /// Returns the first line of the commit's message.
    pub fn message(&self) -> &str {
        self.root.message()
    }

    /// Returns the content of the file `path`.
    pub fn open_file(&self, path: &[u8]) -> Result<Box<dyn Read + Send>, ViewError> {
        let path = join(&self.prefix, path);
        match self.part(&path) {
            None => self.root.open_file(&path),
            Some((Tree::Submodule(tree), rest)) => tree.open_file(rest),
            Some((Tree::GitDir(directory), rest)) => directory.open_file(rest),
        }
    }

    /// Returns the commit that stands at `path` for a submodule that was not fetched, unless that was asked for.
    pub fn unfetched_submodule(&self, path: &[u8]) -> Option<String> {
        let path = join(&self.prefix, path);
        match self.part(&path) {
            _ if self.without_submodules => None,
            None => self.root.submodule(&path),
            Some((Tree::Submodule(tree), rest)) => tree.submodule(rest),
            Some((Tree::GitDir(_), _)) => None,
        }
    }

    /// Returns the part that `path` is in, and its path there.
    fn part<'p>(&self, path: &'p [u8]) -> Option<(&Tree, &'p [u8])> {
        let inside = |part: &Part| match path.strip_prefix(part.path.as_slice())? {
            b"" => Some(&path[path.len()..]),
            rest => rest.strip_prefix(b"/"),
        };
        let found = self.parts.iter().filter_map(|part| Some((part, inside(part)?)));
        // Of nested submodules the innermost counts.
        found.max_by_key(|(part, _)| part.path.len()).map(|(part, rest)| (&part.tree, rest))
    }
}

impl View for Checkout {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        let path = join(&self.prefix, path);
        match self.part(&path) {
            None => self.root.lookup(&path),
            Some((tree, rest)) => tree.view().lookup(rest),
        }
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        let path = join(&self.prefix, path);
        let Some((tree, rest)) = self.part(&path) else {
            let mut children = self.root.children(&path)?;
            let git_dir = self.parts.iter().find(|part| matches!(part.tree, Tree::GitDir(_)) && path.is_empty());
            if let Some(node) = git_dir.map(|part| part.tree.view().lookup(b"")).transpose()?.flatten() {
                children.retain(|(name, _)| name != b".git");
                children.push((b".git".to_vec(), node));
                children.sort_by(|one, other| one.0.cmp(&other.0));
            }
            return Ok(children);
        };
        tree.view().children(rest)
    }

    fn tree_id(&self, path: &[u8]) -> Option<String> {
        // Mounted trees do not show in the ids of the commit.
        self.parts.is_empty().then(|| self.root.tree_id(&join(&self.prefix, path)))?
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        let path = join(&self.prefix, path);
        match self.part(&path) {
            None => self.root.content(&path),
            Some((tree, rest)) => tree.view().content(rest),
        }
    }
}

impl Tree {
    fn view(&self) -> &dyn View {
        match self {
            Tree::Submodule(tree) => tree,
            Tree::GitDir(directory) => directory,
        }
    }
}

/// Adds the submodules of the commit `tree`, which is at `at`, and theirs.
fn add_submodules(
    parts: &mut Vec<Part>,
    tree: &CommitTree,
    at: &[u8],
    url: &str,
    fetching: &Fetching,
    depth: usize,
) -> Result<(), SourceError> {
    for (path, own_url) in submodules(tree, url)? {
        let Some(commit) = tree.submodule(&path) else { continue };
        let refused = |problem: &str| {
            let shown = String::from_utf8_lossy(&path);
            let problem = format!("has the submodule `{shown}` ({}), {problem}", without_credentials(&own_url));
            SourceError::GitUrl { url: without_credentials(url), problem }
        };
        if depth == 0 || parts.len() >= MAX_SUBMODULES {
            return Err(refused("one too many: 8 levels and 256 submodules are followed"));
        }
        // Credentials are for the host of the repository that was asked for. A submodule below one of another host gets
        // none, not even on the first host.
        let same_host = host(url).is_some() && host(url) == host(&own_url);
        let mut fetching = fetching.clone();
        if !same_host {
            fetching.settings.credentials = None;
        }
        let mirror = Mirror::open(&fetching.mirrors, &own_url)?;
        let id = mirror.fetch(&Revision::Commit { id: commit, git_ref: None }, &fetching.settings)?;
        let inner = CommitTree::open(&mirror, &id, "")?;
        let path = join(at, &path);
        add_submodules(parts, &inner, &path, &own_url, &fetching, depth - 1)?;
        parts.push(Part { path, tree: Tree::Submodule(inner) });
    }
    Ok(())
}

fn host(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// Reads path and URL of each submodule from `.gitmodules`; relative URLs start at the repository's own.
fn submodules(tree: &CommitTree, url: &str) -> Result<Vec<(Vec<u8>, String)>, SourceError> {
    let failed = |cause: ViewError| SourceError::Mirror { url: without_credentials(url), cause: cause.into() };
    let node = tree.lookup(b".gitmodules").map_err(failed)?;
    let Some(EntryKind::File { size }) = node.map(|node| node.kind) else { return Ok(Vec::new()) };
    if size > MAX_MODULES_FILE {
        let problem = format!("has a .gitmodules of {size} bytes; {MAX_MODULES_FILE} are read");
        return Err(SourceError::GitUrl { url: without_credentials(url), problem });
    }
    let mut text = Vec::new();
    let read = tree.open_file(b".gitmodules").map_err(failed)?.read_to_end(&mut text);
    read.map_err(|cause| SourceError::Mirror { url: without_credentials(url), cause: cause.into() })?;
    let mut found = Vec::new();
    for (path, own) in super::modules::parse(&String::from_utf8_lossy(&text)) {
        let own = super::modules::absolute(url, &own);
        found.push((clean_path(path.as_bytes()), own));
    }
    Ok(found)
}
