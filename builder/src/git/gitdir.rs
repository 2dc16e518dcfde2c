//! The `.git` directory that `ADD --keep-git-dir` asks for: a repository that knows one commit and where it came from.

use super::error::SourceError;
use super::fetch_request::CommitId;
use super::mirror::Mirror;
use super::without_credentials;
use crate::walk::MAX_DEPTH;
use git2::{ObjectType, Oid, Repository};
use std::collections::HashMap;
use std::fs;

/// Makes a `.git` for `commit` of `mirror` in a directory that is removed when it is dropped.
pub(crate) fn create(
    mirror: &Mirror,
    commit: &CommitId,
    url: &str,
    max_paths: usize,
) -> Result<tempfile::TempDir, SourceError> {
    let url = without_credentials(url);
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| SourceError::Mirror { url: url.clone(), cause };
    let directory = tempfile::tempdir().map_err(|error| failed(error.into()))?;
    let from = mirror.repository()?;
    // libgit2 walks through every path, however few objects they are.
    let paths = Paths { repository: &from, counted: HashMap::new() }.of_commit(commit);
    if paths.map_err(|error| failed(error.into()))?.is_none_or(|paths| paths > max_paths) {
        return Err(SourceError::TooManyPaths { url, limit: max_paths });
    }
    fill(&from, directory.path(), commit.as_str(), &url).map_err(failed)?;
    Ok(directory)
}

/// Makes the `.git` of a checkout of the commit `id`, in which `git_ref` names it: a branch is the current one.
pub(crate) fn create_for_ref(
    mirror: &Mirror,
    id: &str,
    url: &str,
    git_ref: &str,
    max_paths: usize,
) -> Result<tempfile::TempDir, SourceError> {
    let shown = without_credentials(url);
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| SourceError::Mirror { url: shown.clone(), cause };
    let id = CommitId::parse(id).ok_or_else(|| failed("a commit has 40 hexadecimal digits".into()))?;
    let directory = create(mirror, &id, url, max_paths)?;
    let name_it = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let repository = Repository::open_bare(directory.path())?;
        if git_ref.starts_with("refs/") {
            repository.reference(git_ref, id.oid(), true, "")?;
        }
        if git_ref.starts_with("refs/heads/") {
            fs::write(directory.path().join("HEAD"), format!("ref: {git_ref}\n"))?;
        }
        Ok(())
    };
    name_it().map_err(failed)?;
    Ok(directory)
}

/// Counts the paths below trees, each tree once.
struct Paths<'r> {
    repository: &'r Repository,
    counted: HashMap<Oid, usize>,
}

impl Paths<'_> {
    fn of_commit(&mut self, commit: &CommitId) -> Result<Option<usize>, git2::Error> {
        let tree = self.repository.find_commit(commit.oid())?.tree_id();
        self.below(tree, MAX_DEPTH)
    }

    /// Returns how many paths there are; `None` if they are too deep.
    fn below(&mut self, tree: Oid, depth: usize) -> Result<Option<usize>, git2::Error> {
        if let Some(known) = self.counted.get(&tree) {
            return Ok(Some(*known));
        }
        let Some(depth) = depth.checked_sub(1) else { return Ok(None) };
        let object = self.repository.find_tree(tree)?;
        let mut paths = object.len();
        for entry in object.iter().filter(|entry| entry.kind() == Some(ObjectType::Tree)) {
            let Some(below) = self.below(entry.id(), depth)? else { return Ok(None) };
            paths = paths.saturating_add(below);
        }
        self.counted.insert(tree, paths);
        Ok(Some(paths))
    }
}

fn fill(
    from: &Repository,
    place: &std::path::Path,
    id: &str,
    url: &str,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let repository = Repository::init_bare(place)?;
    let oid = Oid::from_str(id)?;
    let mut pack = from.packbuilder()?;
    pack.insert_commit(oid)?;
    let mut bytes = git2::Buf::new();
    pack.write_buf(&mut bytes)?;
    let odb = repository.odb()?;
    let mut writer = odb.packwriter()?;
    std::io::Write::write_all(&mut writer, &bytes)?;
    writer.commit()?;
    if from.find_commit(oid)?.parent_count() > 0 {
        fs::write(place.join("shallow"), format!("{id}\n"))?;
    }
    fs::write(place.join("HEAD"), format!("{id}\n"))?;
    let mut index = git2::Index::open(&place.join("index"))?;
    index.read_tree(&from.find_commit(oid)?.tree()?)?;
    index.write()?;
    let mut config = repository.config()?;
    config.set_bool("core.bare", false)?;
    config.set_str("remote.origin.url", url)?;
    config.set_str("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")?;
    Ok(())
}
