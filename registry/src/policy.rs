//! Policy: tags that never move, and how much a repository may hold.

use crate::Settings;
use crate::error::Failure;
use crate::server::{Registry, blocking};
use registry_client::path_matches;

/// Tags that never move and are not deleted once they are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImmutableTags {
    /// Path of repositories, with `*` for a part of it and `**` for any number of parts.
    pub repositories: String,
    /// Tags, with `*` for any text.
    pub tags: String,
}

/// The bytes that a repository may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Path of repositories.
    pub repositories: String,
    /// Bytes of blobs and manifests, each counted once.
    pub bytes: u64,
}

impl ImmutableTags {
    /// Reads `repositories:tags`, as in `team/*:v*`; an error says what is wrong.
    pub fn parse(text: &str) -> Result<ImmutableTags, String> {
        let parts = text.split_once(':').filter(|parts| !parts.0.is_empty() && !parts.1.is_empty());
        let (repositories, tags) = parts
            .ok_or_else(|| format!("`{text}` is not a pattern of tags: `repositories:tags` is, as in team/*:v*"))?;
        Ok(ImmutableTags { repositories: repositories.to_owned(), tags: tags.to_owned() })
    }

    fn matches(&self, repository: &str, tag: &str) -> bool {
        path_matches(&self.repositories, repository) && path_matches(&self.tags, tag)
    }
}

impl Settings {
    /// Tells whether a tag may neither move nor be deleted.
    pub fn is_immutable(&self, repository: &str, tag: &str) -> bool {
        self.immutable_tags.iter().any(|pattern| pattern.matches(repository, tag))
    }
}

impl Registry {
    /// Returns the bytes that a repository has room for; `None` without a limit. Of several quotas the first counts.
    pub async fn room(&self, repository: &str) -> Result<Option<Room>, Failure> {
        let quotas = &self.settings.quotas;
        let Some(quota) = quotas.iter().find(|quota| path_matches(&quota.repositories, repository)) else {
            return Ok(None);
        };
        let (store, name) = (self.store.clone(), repository.to_owned());
        let used = blocking(move || store.usage(&name)).await?;
        Ok(Some(Room { repository: repository.to_owned(), left: quota.bytes.saturating_sub(used), quota: quota.bytes }))
    }
}

/// The rest of a quota.
#[derive(Debug, Clone)]
pub struct Room {
    repository: String,
    left: u64,
    quota: u64,
}

impl Room {
    /// Refuses what is larger than what is left.
    pub fn check(&self, bytes: u64) -> Result<(), Failure> {
        if bytes <= self.left { Ok(()) } else { Err(Failure::quota_exceeded(&self.repository, self.quota)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_tags_names_repositories_and_tags() {
        let pattern = ImmutableTags::parse("team/*:v*").unwrap();
        assert!(pattern.matches("team/app", "v1.0") && !pattern.matches("team/app", "latest"));
        assert!(!pattern.matches("team/a/b", "v1"));
        for bad in ["team/*", ":v*", "team/*:", ""] {
            assert!(ImmutableTags::parse(bad).is_err(), "{bad}");
        }
    }
}
