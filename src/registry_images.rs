//! The images of the embedded registry for the pages: read from the store that the registry serves.

use database::{Database, NewChange};
use image_store::{DeletedTag, Store};
use registry::RetentionRule;
use registry_client::{Digest, ImageConfig, Index, Manifest, media_type, path_matches, report};
use std::time::{SystemTime, UNIX_EPOCH};
use webhook::{DeletedRegistryTag, RegistryImages, RegistryRepository, RegistryTag};

/// Largest document that is read.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// The store of the registry, and how the registry keeps it.
pub(crate) struct StoredImages {
    /// The store.
    pub store: Store,
    /// The host by which images are pulled.
    pub host: String,
    /// The rules by which tags are kept.
    pub retention: Vec<RetentionRule>,
    /// Where changes are recorded.
    pub database: Database,
    /// Runs what the database does.
    pub tokio: tokio::runtime::Handle,
}

impl RegistryImages for StoredImages {
    fn host(&self) -> &str {
        &self.host
    }

    fn repositories(&self) -> Result<Vec<String>, String> {
        let mut names = self.store.repositories().map_err(|error| report(&error))?;
        names.extend(self.store.deleted_repositories().map_err(|error| report(&error))?);
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn repository(&self, name: &str, limit: usize) -> Result<RegistryRepository, String> {
        self.read(name, limit).map_err(|error| report(&error))
    }

    fn restore(&self, repository: &str, reference: &str, by: &str) -> Result<Vec<String>, String> {
        let restored = registry::restore(&self.store, repository, reference).map_err(|error| report(&error))?;
        for tag in &restored {
            let change = NewChange {
                account: by.to_owned(),
                action: "restore",
                repository: tag.repository.clone(),
                reference: tag.name.clone(),
                digest: tag.manifest.digest.to_string(),
                ..NewChange::default()
            };
            self.tokio.block_on(self.database.record_change(&change)).map_err(|error| report(&error))?;
        }
        Ok(restored.into_iter().map(|tag| tag.name).collect())
    }
}

impl StoredImages {
    fn read(&self, name: &str, limit: usize) -> Result<RegistryRepository, image_store::Error> {
        let mut tags = Vec::new();
        for tag in self.store.tags(name)? {
            // The name of a manifest that was put by digest alone is its digest.
            let is_digest = tag.parse::<Digest>().is_ok();
            if let Some(at) = self.store.tagged_at(name, &tag)?.filter(|_| !is_digest) {
                tags.push((at, tag));
            }
        }
        tags.sort_by(|one, other| other.cmp(one));
        let total = tags.len();
        let mut shown = Vec::new();
        for (at, tag) in tags.into_iter().take(limit) {
            let Some(descriptor) = self.store.resolve(name, &tag)? else { continue };
            let described = self.describe(&descriptor.digest, &descriptor.media_type);
            shown.push(RegistryTag { name: tag, set_ms: milliseconds(at), ..described });
        }
        let mut deleted = self.store.deleted_tags(name)?;
        // A tag that was set again is not put back.
        deleted.retain(|tag| !matches!(self.store.resolve(name, &tag.name), Ok(Some(_))));
        let rule = self.retention.iter().find(|rule| path_matches(&rule.repositories, name));
        Ok(RegistryRepository {
            size: self.store.usage(name)?,
            total,
            tags: shown,
            deleted: deleted.iter().map(deleted_tag).collect(),
            retention: rule.map(words),
        })
    }

    /// Returns what is known of an image; nothing but its digest, if it cannot be read.
    fn describe(&self, digest: &Digest, kind: &str) -> RegistryTag {
        let mut tag = RegistryTag { digest: digest.to_string(), ..RegistryTag::default() };
        if media_type::is_index(kind) {
            let index: Option<Index> = self.document(digest);
            for part in index.map(|index| index.manifests).unwrap_or_default() {
                let platform = part.platform.as_ref().map(ToString::to_string);
                // Signatures and attestations are no platforms.
                if let Some(platform) = platform.filter(|platform| !platform.starts_with("unknown")) {
                    tag.platforms.push(platform);
                }
                self.add(&part.digest, &mut tag);
            }
            return tag;
        }
        if let Some(config) = self.add(digest, &mut tag) {
            tag.platforms.push(config.platform().to_string());
        }
        tag
    }

    /// Adds the size of a manifest's image; returns its configuration.
    fn add(&self, digest: &Digest, tag: &mut RegistryTag) -> Option<ImageConfig> {
        let manifest: Manifest = self.document(digest)?;
        tag.size += manifest.config.size + manifest.layers.iter().map(|layer| layer.size).sum::<u64>();
        tag.layers = tag.layers.max(manifest.layers.len());
        self.document(&manifest.config.digest)
    }

    fn document<T: serde::de::DeserializeOwned>(&self, digest: &Digest) -> Option<T> {
        serde_json::from_slice(&self.store.read(digest, MAX_DOCUMENT).ok()?).ok()
    }
}

fn deleted_tag(tag: &DeletedTag) -> DeletedRegistryTag {
    let (name, digest) = (tag.name.clone(), tag.manifest.digest.to_string());
    DeletedRegistryTag { name, digest, until_ms: milliseconds(tag.until) }
}

/// Says in words which tags a rule keeps.
fn words(rule: &RetentionRule) -> String {
    let mut parts = Vec::new();
    if rule.keep_newest > 0 {
        parts.push(format!("the newest {}", rule.keep_newest));
    }
    if rule.keep_days > 0 {
        parts.push(format!("those of the last {} days", rule.keep_days));
    }
    if !rule.keep_tags.is_empty() {
        parts.push(format!("those like {}", rule.keep_tags.join(", ")));
    }
    format!("The rule for {} keeps {}.", rule.repositories, parts.join(", and "))
}

fn milliseconds(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
