//! A commit's tree as a view: read from the objects, never checked out.

use super::error::SourceError;
use super::fetch_request::CommitId;
use super::lfs_server::LfsServer;
use super::mirror::Mirror;
use crate::walk::is_too_deep;
use database::ChangingCommit;
use files::path::clean_path;
use files::tree::resolve_in;
use files::view::{ContentId, EntryKind, Node, View, ViewError};
use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest tree object that is read: more than a million names.
const MAX_TREE: usize = 64 * 1024 * 1024;
/// Longest name that file systems take.
const MAX_NAME: usize = 255;
/// Longest target of a symbolic link: the kernel's own limit.
const MAX_TARGET: usize = 4096;
/// Bytes that the links of one directory may lead to, all together.
const MAX_TARGETS: usize = 64 * 1024 * 1024;
/// Entries of directories that are remembered.
const MAX_REMEMBERED: usize = 1_000_000;
/// Largest file that is taken from a commit: git's objects are read as a whole.
const MAX_FILE: u64 = 1024 * 1024 * 1024;

/// A commit, or a directory of it.
pub struct CommitTree {
    objects: Arc<Mutex<Objects>>,
    pub(super) root: Oid,
    commit: Arc<Facts>,
    /// The server of the files that the commit only points to, if they are fetched.
    pub(super) lfs: Option<Arc<LfsServer>>,
}

/// The metadata of a commit.
struct Facts {
    id: String,
    time: i64,
    message: String,
    author: String,
    /// As they are written, also where the history is cut off.
    parents: Vec<String>,
}

/// The repository, with the directories that were read.
pub(super) struct Objects {
    pub(super) repository: Repository,
    directories: HashMap<Oid, Arc<Vec<Listed>>>,
    /// Entries of all these, a link's target counting as many as would take its space.
    remembered: usize,
    /// Keeps the mirror as it is.
    _held: File,
}

/// An entry of a tree object.
#[derive(Debug, Clone)]
struct Listed {
    name: Vec<u8>,
    id: Oid,
    kind: EntryKind,
    mode: u32,
    /// Whether it is the commit of another repository.
    submodule: bool,
}

/// Returns the ids of the parents that a commit's header names: libgit2 leaves those out that a mirror does not have.
fn parents(header: &str) -> Vec<String> {
    header.lines().filter_map(|line| line.strip_prefix("parent ")).map(str::to_owned).collect()
}

impl CommitTree {
    /// Opens the directory `path` of a commit that is in `mirror`; an empty path is the whole tree.
    pub fn open(mirror: &Mirror, id: &CommitId, path: &str) -> Result<Self, SourceError> {
        let held = mirror.hold().map_err(|error| SourceError::Mirror { url: mirror.shown(), cause: error.into() })?;
        let repository = mirror.repository()?;
        let failed = |cause: git2::Error| SourceError::Mirror { url: mirror.shown(), cause: cause.into() };
        let (facts, root) = {
            let oid = Oid::from_str(id.as_str()).map_err(failed)?;
            let commit = repository.find_commit(oid).map_err(failed)?;
            let message = commit.summary_bytes().map(|summary| String::from_utf8_lossy(summary).into_owned());
            let facts = Facts {
                id: id.as_str().to_owned(),
                time: commit.time().seconds(),
                message: message.unwrap_or_default(),
                author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
                parents: parents(&String::from_utf8_lossy(commit.raw_header_bytes())),
            };
            (facts, commit.tree_id())
        };
        let objects =
            Arc::new(Mutex::new(Objects { repository, directories: HashMap::new(), remembered: 0, _held: held }));
        CommitTree { objects, root, commit: Arc::new(facts), lfs: None }.subtree(path)
    }

    /// Returns the directory `path` as a tree of its own; links are followed within the commit.
    pub fn subtree(&self, path: &str) -> Result<Self, SourceError> {
        let not_found = || SourceError::ContextNotFound(path.to_owned());
        let resolved = self.resolve(&clean_path(path.as_bytes())).ok_or_else(not_found)?;
        let root = self.directory_id(&resolved).ok().flatten().ok_or_else(not_found)?;
        Ok(CommitTree { objects: self.objects.clone(), root, commit: self.commit.clone(), lfs: self.lfs.clone() })
    }

    /// Returns the commit that the submodule at `path` stands for.
    pub fn submodule(&self, path: &[u8]) -> Option<String> {
        let listed = self.listed(path).ok()??;
        listed.submodule.then(|| listed.id.to_string())
    }

    /// Returns the commit's hash.
    pub fn id(&self) -> &str {
        &self.commit.id
    }

    /// Returns the id of the tree, which names all files in it and nothing else.
    pub fn tree(&self) -> String {
        self.root.to_string()
    }

    /// Returns the commit's time in seconds since 1970: every file's time.
    pub fn commit_time(&self) -> i64 {
        self.commit.time
    }

    /// Returns the first line of the commit's message.
    pub fn message(&self) -> &str {
        &self.commit.message
    }

    /// Returns this commit as what changed files since `older`; `None` if that is the same one.
    pub fn change_since(&self, older: &CommitTree) -> Option<ChangingCommit> {
        let Facts { id, message, author, parents, .. } = &*self.commit;
        (*id != older.commit.id).then(|| ChangingCommit {
            id: id.clone(),
            author: author.clone(),
            message: message.clone(),
            is_alone: parents.len() == 1 && parents[0] == older.commit.id,
        })
    }

    /// Returns the content of the file `path`.
    pub fn open_file(&self, path: &[u8]) -> Result<Box<dyn Read + Send>, ViewError> {
        let listed = self.listed(path)?.ok_or_else(|| self.error(path, "it is not in the commit"))?;
        let bytes = self.objects().blob(listed.id).map_err(|error| self.error(path, error))?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        resolve_in(path, |path| self.lookup(path).ok().flatten()).ok()
    }

    pub(super) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn error(&self, path: &[u8], cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ViewError {
        let what = format!("commit {}", self.commit.id);
        ViewError { what, path: String::from_utf8_lossy(path).into_owned(), cause: cause.into() }
    }

    /// Returns the tree object of the directory `path`.
    fn directory_id(&self, path: &[u8]) -> Result<Option<Oid>, ViewError> {
        if path.is_empty() {
            return Ok(Some(self.root));
        }
        let listed = self.listed(path)?;
        // A submodule is an empty directory: its commit is in another repository.
        Ok(listed.filter(|listed| listed.kind == EntryKind::Directory).map(|listed| listed.id))
    }

    fn listed(&self, path: &[u8]) -> Result<Option<Listed>, ViewError> {
        // Nothing is taken from so deep, and a long way down would be a long way up again.
        if is_too_deep(path) {
            return Ok(None);
        }
        let (directory, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        let Some(directory_id) = self.directory_id(directory)? else { return Ok(None) };
        let entries = self.objects().entries(directory_id).map_err(|error| self.error(directory, error))?;
        Ok(entries.binary_search_by(|entry| entry.name.as_slice().cmp(name)).ok().map(|at| entries[at].clone()))
    }

    fn node(&self, listed: Listed) -> Node {
        let mtime = self.commit.time;
        Node { kind: listed.kind, mode: listed.mode, uid: 0, gid: 0, mtime, xattrs: Vec::new(), hard_link: None }
    }
}

impl View for CommitTree {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        if path.is_empty() {
            let (kind, mtime) = (EntryKind::Directory, self.commit.time);
            return Ok(Some(Node { kind, mode: 0o755, uid: 0, gid: 0, mtime, xattrs: Vec::new(), hard_link: None }));
        }
        Ok(self.listed(path)?.map(|listed| self.node(listed)))
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        let Some(directory) = self.directory_id(path)? else { return Ok(Vec::new()) };
        let entries = self.objects().entries(directory).map_err(|error| self.error(path, error))?;
        Ok(entries.iter().map(|entry| (entry.name.clone(), self.node(entry.clone()))).collect())
    }

    fn tree_id(&self, path: &[u8]) -> Option<String> {
        Some(self.directory_id(path).ok()??.to_string())
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        let listed = self.listed(path)?;
        if let Some(Listed { kind: EntryKind::File { size }, .. }) = listed
            && size > MAX_FILE
        {
            return Err(self.error(path, format!("it has {size} bytes, files of a commit may have {MAX_FILE}")));
        }
        Ok(ContentId(listed.map_or_else(String::new, |listed| format!("git:{}", listed.id))))
    }
}

impl Objects {
    /// Returns the entries of a tree object, sorted by name; none for a submodule's commit.
    fn entries(&mut self, id: Oid) -> Result<Arc<Vec<Listed>>, git2::Error> {
        if let Some(known) = self.directories.get(&id) {
            return Ok(known.clone());
        }
        let (entries, targets) = self.read(id)?;
        self.remembered += entries.len() + targets / size_of::<Listed>();
        if self.remembered > MAX_REMEMBERED {
            self.directories.clear();
            self.remembered = entries.len();
        }
        let entries = Arc::new(entries);
        self.directories.insert(id, entries.clone());
        Ok(entries)
    }

    /// Reads the entries of a tree object, and how many bytes its links' targets have.
    fn read(&self, id: Oid) -> Result<(Vec<Listed>, usize), git2::Error> {
        let odb = self.repository.odb()?;
        let (mut entries, mut targets) = (Vec::new(), 0);
        match odb.read_header(id) {
            Ok((size, _)) if size > MAX_TREE => {
                return Err(refused(format!("a directory of {size} bytes: up to {MAX_TREE} are read")));
            }
            Ok(_) => {}
            // A submodule's commit is in another repository.
            Err(error) if error.code() == ErrorCode::NotFound => return Ok((entries, targets)),
            Err(error) => return Err(error),
        }
        let tree = match self.repository.find_tree(id) {
            Ok(tree) => Some(tree),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        for entry in tree.iter().flatten() {
            let name = entry.name_bytes().to_vec();
            if !is_safe(&name) {
                let shown = String::from_utf8_lossy(&name).into_owned();
                return Err(refused(format!("`{shown}` is not a name that a file of a commit may have")));
            }
            let (kind, mode) = match (entry.kind(), entry.filemode() & 0o170_000) {
                (Some(ObjectType::Tree), _) => (EntryKind::Directory, 0o755),
                (Some(ObjectType::Blob), 0o120_000) => {
                    let length = odb.read_header(entry.id())?.0;
                    targets += length;
                    if length > MAX_TARGET || targets > MAX_TARGETS {
                        let shown = String::from_utf8_lossy(&name).into_owned();
                        return Err(refused(format!("the link `{shown}` leads to a path of {length} bytes")));
                    }
                    (EntryKind::Symlink { target: self.repository.find_blob(entry.id())?.content().to_vec() }, 0o777)
                }
                (Some(ObjectType::Blob), _) => {
                    let executable = entry.filemode() & 0o111 != 0;
                    let size = odb.read_header(entry.id())?.0 as u64;
                    (EntryKind::File { size }, if executable { 0o755 } else { 0o644 })
                }
                _ => (EntryKind::Directory, 0o755),
            };
            let submodule = entry.kind() == Some(ObjectType::Commit);
            entries.push(Listed { name, id: entry.id(), kind, mode, submodule });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((entries, targets))
    }

    fn blob(&self, id: Oid) -> Result<Vec<u8>, git2::Error> {
        Ok(self.repository.find_blob(id)?.content().to_vec())
    }
}

fn refused(problem: String) -> git2::Error {
    git2::Error::new(ErrorCode::Invalid, ErrorClass::Tree, problem)
}

/// Returns whether a view could not be read because it holds what no tree may: then its author is to blame.
pub(crate) fn is_refused(error: &ViewError) -> bool {
    let cause = error.cause.downcast_ref::<git2::Error>();
    cause.is_some_and(|cause| cause.code() == ErrorCode::Invalid && cause.class() == ErrorClass::Tree)
}

/// Returns whether a tree may hold this name: git does not check objects when they are pushed.
fn is_safe(name: &[u8]) -> bool {
    let fits = !name.is_empty() && name.len() <= MAX_NAME;
    fits && !matches!(name, b"." | b"..") && !name.contains(&b'/') && !name.contains(&0) && !is_git_directory(name)
}

/// Returns whether some file system takes `name` for `.git`: letters of either case, characters that HFS+ leaves out, the
/// short name and the endings that NTFS leaves out.
fn is_git_directory(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name);
    let left_out = |char: &char| matches!(char, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let seen: String = text.chars().filter(|char| !left_out(char)).collect::<String>().to_lowercase();
    let seen = seen.trim_end_matches(['.', ' ']);
    seen == ".git" || seen == "git~1"
}

#[cfg(test)]
mod name_tests {
    use super::is_safe;

    #[test]
    fn names_that_some_file_system_takes_for_git_are_refused() {
        // GIT-16
        for name in
            [".git", ".GIT", ".Git", ".git.", ".git ", "git~1", "GIT~1", ".g\u{200c}it", "\u{feff}.git", "..", ""]
        {
            assert!(!is_safe(name.as_bytes()), "{name:?}");
        }
        for name in [".gitignore", ".github", "git", "git~10", ".git-x", "...", "a\nb"] {
            assert!(is_safe(name.as_bytes()), "{name:?}");
        }
    }
}
