//! A commit with its submodules, and with `.git` where that is wanted, seen as one tree; nothing is checked out.

use super::commit::CommitTree;
use super::directory::Directory;
use super::error::SourceError;
use super::fetch_request::Revision;
use super::fetching::Fetching;
use super::gitdir;
use super::logins::Logins;
use super::mirror::Mirror;
use super::submodules::{self, SubmoduleAccess};
use super::url::GitContext;
use database::ChangingCommit;
use files::path::{clean_path, join};
use files::tree::resolve_in;
use files::view::{ContentId, EntryKind, Node, View, ViewError};
use std::io::Read;
use std::sync::Arc;

/// A commit, or a directory of it, with what other repositories put into it.
pub struct Checkout {
    root: CommitTree,
    parts: Arc<Vec<Part>>,
    /// The directory that is seen.
    prefix: Vec<u8>,
    /// Whether nobody wants the submodules.
    without_submodules: bool,
    /// Keeps a `.git` on disk until it was read.
    _git_dir: Option<Arc<tempfile::TempDir>>,
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
        let mut root = CommitTree::open(&mirror, &commit, "")?;
        if let Some(lfs) = &fetching.lfs {
            root = root.with_lfs(lfs, &git.url, &fetching.settings);
        }
        let mut parts = Vec::new();
        if !git.without_submodules {
            let settings = fetching.settings.clone();
            let logins = settings.credentials.clone().map(|login| Logins::of_server(&git.url, login));
            let (mirrors, elsewhere) = (fetching.mirrors.clone(), settings.reach);
            let access = SubmoduleAccess {
                mirrors,
                settings,
                logins: Some(logins.unwrap_or_default()),
                elsewhere,
                lfs: fetching.lfs.clone(),
            };
            parts = submodules(&root, &git.url, &access, &|_| true)?;
        }
        let mut kept = None;
        if keep_git_dir && git.subdir.is_empty() {
            let directory = gitdir::create(&mirror, &commit, &git.url, fetching.max_paths)?;
            parts.push(Part { path: b".git".to_vec(), tree: Tree::GitDir(Directory::open(directory.path(), None)?) });
            kept = Some(Arc::new(directory));
        }
        let (parts, prefix, without_submodules) = (Arc::new(parts), Vec::new(), git.without_submodules);
        Checkout { root, parts, prefix, without_submodules, _git_dir: kept }.directory(&git.subdir)
    }

    /// Fetches the submodules of `root`, a commit of `url`, whose paths are `needed`; `None` if it has none of those.
    pub fn with_submodules(
        root: &CommitTree,
        url: &str,
        access: &SubmoduleAccess,
        needed: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<Self>, SourceError> {
        let parts = Arc::new(submodules(root, url, access, needed)?);
        let root = root.subtree("")?;
        let checkout = Checkout { root, parts, prefix: Vec::new(), without_submodules: false, _git_dir: None };
        Ok(Some(checkout).filter(|checkout| !checkout.parts.is_empty()))
    }

    /// Returns the view of the directory `path`; links are followed within the commit.
    pub fn directory(&self, path: &str) -> Result<Self, SourceError> {
        let resolved = resolve_in(&clean_path(path.as_bytes()), |path| self.lookup(path).ok().flatten());
        let found = resolved.ok().filter(|path| {
            path.is_empty() || matches!(self.lookup(path), Ok(Some(Node { kind: EntryKind::Directory, .. })))
        });
        let found = found.ok_or_else(|| SourceError::ContextNotFound(path.to_owned()))?;
        Ok(Checkout {
            root: self.root.subtree("")?,
            parts: self.parts.clone(),
            prefix: join(&self.prefix, &found),
            without_submodules: self.without_submodules,
            _git_dir: self._git_dir.clone(),
        })
    }

    /// Returns this commit as what changed files since `older`; `None` if that is the same one.
    pub fn change_since(&self, older: &Checkout) -> Option<ChangingCommit> {
        self.root.change_since(&older.root)
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

    /// Returns the tree that the file `path` is in, and its path there; none for one of `.git`.
    pub(crate) fn tree_of(&self, path: &[u8]) -> Option<(&CommitTree, Vec<u8>)> {
        let path = join(&self.prefix, path);
        match self.part(&path) {
            None => Some((&self.root, path)),
            Some((Tree::Submodule(tree), rest)) => Some((tree, rest.to_vec())),
            Some((Tree::GitDir(_), _)) => None,
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
        let path = join(&self.prefix, path);
        // Mounted trees do not show in the ids of the directories above them.
        let is_above = |part: &Part| {
            path.is_empty() || part.path.strip_prefix(path.as_slice()).is_some_and(|rest| rest.starts_with(b"/"))
        };
        if self.parts.iter().any(is_above) {
            return None;
        }
        match self.part(&path) {
            None => self.root.tree_id(&path),
            Some((tree, rest)) => tree.view().tree_id(rest),
        }
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

fn submodules(
    root: &CommitTree,
    url: &str,
    access: &SubmoduleAccess,
    needed: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<Part>, SourceError> {
    let found = submodules::fetch(root, url, access, needed)?;
    Ok(found.into_iter().map(|found| Part { path: found.path, tree: Tree::Submodule(found.tree) }).collect())
}
