//! Policy: tags that never move, and how much a repository may hold.

use crate::Settings;
use crate::error::Failure;
use crate::server::{Registry, blocking};
use image_store::Part;
use registry_client::{Digest, path_matches};
use std::sync::{MutexGuard, PoisonError};

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
    /// Tells whether a tag may neither move nor be deleted. A digest that keeps a manifest is not a tag.
    pub fn is_immutable(&self, repository: &str, tag: &str) -> bool {
        !tag.contains(':') && self.immutable_tags.iter().any(|pattern| pattern.matches(repository, tag))
    }

    /// Returns the quota of a repository; of several the first counts.
    pub fn quota(&self, repository: &str) -> Option<&Quota> {
        self.quotas.iter().find(|quota| path_matches(&quota.repositories, repository))
    }
}

impl Registry {
    /// Refuses to delete what an immutable tag of the repository leads to; to be called in turn ([`Registry::turn`]).
    pub(crate) fn check_pinned(&self, repository: &str, digest: &Digest) -> Result<(), Failure> {
        for tag in self.store.tags(repository)? {
            if self.settings.is_immutable(repository, &tag)
                && let Some(manifest) = self.store.resolve(repository, &tag)?
                && self.store.closure(&manifest).contains(digest)
            {
                return Err(Failure::pinned(digest.as_str(), &tag));
            }
        }
        Ok(())
    }

    /// Waits for the turn to look at what immutable tags lead to, or quotas leave, and to change it.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what a repository does not have yet and has no room for; to be called in turn ([`Registry::turn`]) until it is
    /// noted.
    pub(crate) fn check_room(&self, repository: &str, digest: &Digest, bytes: u64) -> Result<(), Failure> {
        let Some(quota) = self.settings.quota(repository) else { return Ok(()) };
        let store = &self.store;
        if store.has(repository, Part::Blob, digest)? || store.has(repository, Part::Manifest, digest)? {
            return Ok(());
        }
        if store.usage(repository)?.saturating_add(bytes) > quota.bytes {
            return Err(Failure::quota_exceeded(repository, quota.bytes));
        }
        Ok(())
    }

    /// Returns the bytes that an upload may have; `None` without a limit. Whether the blob is taken is decided at its end: what
    /// the repository has needs no room.
    pub(crate) async fn room(&self, repository: &str, digest: Option<&Digest>) -> Result<Option<Room>, Failure> {
        let Some(quota) = self.settings.quota(repository) else { return Ok(None) };
        if digest.is_some_and(|digest| self.has_blob(repository, digest)) {
            return Ok(None);
        }
        let (store, name) = (self.store.clone(), repository.to_owned());
        let used = blocking(move || store.usage(&name)).await?;
        Ok(Some(Room { repository: repository.to_owned(), left: quota.bytes.saturating_sub(used), quota: quota.bytes }))
    }
}

/// The rest of a quota.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    repository: String,
    left: u64,
    quota: u64,
}

impl Room {
    /// Refuses what is larger than what is left.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), Failure> {
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
        let mut settings = Settings::new(crate::Access::Open);
        settings.immutable_tags = vec![ImmutableTags::parse("**:*").unwrap()];
        assert!(settings.is_immutable("a", "sha256") && !settings.is_immutable("a", Digest::of(b"").as_str()));
        for bad in ["team/*", ":v*", "team/*:", ""] {
            assert!(ImmutableTags::parse(bad).is_err(), "{bad}");
        }
    }
}
