//! Images of the embedded registry as the API shows them.

use super::time::moment;
use crate::pages::registry_images::{DeletedRegistryTag, RegistryRepository, RegistryTag};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The repositories of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryRepositoryList {
    /// Their paths, sorted; those that have only deleted tags, too.
    pub repositories: Vec<String>,
}

/// A repository of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryRepositoryView {
    /// Its path.
    pub name: String,
    /// Bytes of all blobs and manifests, each counted once.
    pub size: u64,
    /// Number of tags.
    pub total: usize,
    /// The newest tags.
    pub tags: Vec<RegistryTagView>,
    /// Deleted tags that can be restored.
    pub deleted: Vec<DeletedTagView>,
}

/// A tag of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryTagView {
    /// Its name.
    pub name: String,
    /// Digest of its manifest.
    pub digest: String,
    /// Time at which it was set.
    pub set_at: Option<String>,
    /// Bytes that a pull downloads, of all platforms together.
    pub size: u64,
    /// The platforms.
    pub platforms: Vec<String>,
}

/// A deleted tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeletedTagView {
    /// The tag, or the digest of what was put by digest alone.
    pub name: String,
    /// Digest of its manifest.
    pub digest: String,
    /// Time until which it can be restored.
    pub restorable_until: Option<String>,
}

/// Tags that were put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoredTags {
    /// The tag that was asked for, and what came back with it.
    pub restored: Vec<String>,
}

impl RegistryRepositoryView {
    /// Returns what the API shows of the repository `name`.
    pub fn new(name: &str, found: &RegistryRepository) -> RegistryRepositoryView {
        RegistryRepositoryView {
            name: name.to_owned(),
            size: found.size,
            total: found.total,
            tags: found.tags.iter().map(RegistryTagView::from).collect(),
            deleted: found.deleted.iter().map(DeletedTagView::from).collect(),
        }
    }
}

impl From<&RegistryTag> for RegistryTagView {
    fn from(tag: &RegistryTag) -> RegistryTagView {
        RegistryTagView {
            name: tag.name.clone(),
            digest: tag.digest.clone(),
            set_at: moment(tag.set_ms),
            size: tag.size,
            platforms: tag.platforms.clone(),
        }
    }
}

impl From<&DeletedRegistryTag> for DeletedTagView {
    fn from(tag: &DeletedRegistryTag) -> DeletedTagView {
        DeletedTagView { name: tag.name.clone(), digest: tag.digest.clone(), restorable_until: moment(tag.until_ms) }
    }
}
