//! The `.git` directory that `ADD --keep-git-dir` asks for: a repository that knows one commit and where it came from.

use super::{CommitId, Mirror, SourceError, without_credentials};
use git2::{Oid, Repository};
use std::fs;

/// Makes a `.git` for `commit` of `mirror` in a directory that is removed when it is dropped.
pub fn create(mirror: &Mirror, commit: &CommitId, url: &str) -> Result<tempfile::TempDir, SourceError> {
    let url = without_credentials(url);
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| SourceError::Mirror { url: url.clone(), cause };
    let directory = tempfile::tempdir().map_err(|error| failed(error.into()))?;
    let from = mirror.repository()?;
    fill(&from, directory.path(), (commit.as_str(), &url)).map_err(failed)?;
    Ok(directory)
}

fn fill(
    from: &Repository,
    place: &std::path::Path,
    (id, url): (&str, &str),
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
