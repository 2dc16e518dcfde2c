//! Images that did not change: a build whose layers and configuration are those of the image before keeps that image's digest.
//!
//! Times and the labels that name the commit differ with every commit. On their own they make no other image: everybody who
//! runs the image would have to replace it by the same one.

use crate::Error;
use crate::execute::{BuildResources, Unanswered};
use crate::image::assemble::Image;
use registry_client::{Digest, ImageConfig, Manifest, Reference, Resolved};
use std::collections::BTreeMap;

/// Label for the commit.
pub(crate) const REVISION: &str = "org.opencontainers.image.revision";
/// Label for the time of the commit.
pub(crate) const CREATED: &str = "org.opencontainers.image.created";
/// Label for the version: the first tag or the short name of the ref.
pub(crate) const VERSION: &str = "org.opencontainers.image.version";
/// Label for the repository.
pub(crate) const SOURCE: &str = "org.opencontainers.image.source";

/// Largest manifest or configuration that is read from the store.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;
/// Digits of a commit that a version has at least where it names one: `{sha7}`.
const SHORTEST_COMMIT: usize = 7;

/// An image that was published before, and the labels that the new one has only by default.
pub(crate) struct Previous<'a> {
    /// The image by its digest, in the repository that the new one is pushed to.
    pub reference: &'a Reference,
    /// Default labels of the new image.
    pub default_labels: &'a BTreeMap<String, String>,
}

impl Previous<'_> {
    /// Returns the earlier image if nothing but times and default labels tell `image` from it.
    ///
    /// An earlier image that cannot be read any more does not matter: the new one is pushed then.
    pub(crate) fn same_as(&self, image: &Image, resources: &BuildResources) -> Result<Option<Image>, Error> {
        let Some(earlier) = self.read(image, resources) else { return Ok(None) };
        if !self.is_same(image, &earlier, resources) {
            return Ok(None);
        }
        for bytes in [&earlier.config_bytes, &earlier.manifest_bytes] {
            resources.store.put(bytes).map_err(|error| Error::store("storing the image".to_owned(), error))?;
        }
        let (digest, config, manifest) = (earlier.digest, earlier.manifest.config, earlier.manifest_bytes);
        Ok(Some(Image { digest, config, manifest, ..image.clone() }))
    }

    fn read(&self, image: &Image, resources: &BuildResources) -> Option<Resolved> {
        let known = |digest: &Digest| resources.store.read(digest, MAX_DOCUMENT).ok();
        let reading = resources.client.resolve(self.reference, &image.platform, &known);
        match resources.ask(reading) {
            Ok(earlier) => Some(earlier),
            Err(Unanswered::Cancelled) => None,
            Err(Unanswered::Failed(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(reference = %self.reference, error, "the image before cannot be read");
                None
            }
        }
    }

    fn is_same(&self, image: &Image, earlier: &Resolved, resources: &BuildResources) -> bool {
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&image.manifest) else { return false };
        let unlike_config = |manifest: &Manifest| Manifest { config: image.config.clone(), ..manifest.clone() };
        if unlike_config(&manifest) != unlike_config(&earlier.manifest) {
            return false;
        }
        let config = resources.store.read(&image.config.digest, image.config.size).ok();
        let config = config.and_then(|bytes| serde_json::from_slice::<ImageConfig>(&bytes).ok());
        config.is_some_and(|config| self.without_commit(config) == self.without_commit(earlier.config.clone()))
    }

    /// Returns a configuration without what differs with every commit.
    fn without_commit(&self, mut config: ImageConfig) -> ImageConfig {
        config.created = None;
        config.history.iter_mut().for_each(|entry| entry.created = None);
        let labels = &mut config.config.labels;
        let revision = labels.get(REVISION).cloned().unwrap_or_default();
        if self.is_default(VERSION)
            && let Some(version) = labels.get_mut(VERSION)
        {
            *version = without(version, &revision);
        }
        for label in [REVISION, CREATED] {
            if self.is_default(label) {
                labels.remove(label);
            }
        }
        config
    }

    fn is_default(&self, label: &str) -> bool {
        self.default_labels.contains_key(label)
    }
}

/// Returns `version` with the longest beginning of `commit` in it, if it is not too short to be one, replaced.
fn without(version: &str, commit: &str) -> String {
    let mut lengths = (SHORTEST_COMMIT..=commit.len()).rev();
    let named = lengths.find_map(|length| commit.get(..length).filter(|named| version.contains(named)));
    named.map_or_else(|| version.to_owned(), |named| version.replacen(named, "{commit}", 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use registry_client::History;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";

    fn config(commit: &str, version: &str, time: &str) -> ImageConfig {
        let mut config = ImageConfig { created: Some(time.to_owned()), ..ImageConfig::default() };
        config.history.push(History { created: Some(time.to_owned()), ..History::default() });
        let labels = [(REVISION, commit), (CREATED, time), (VERSION, version), ("mine", "x")];
        config.config.labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        config
    }

    fn is_same(defaults: &[&str], one: ImageConfig, other: ImageConfig) -> bool {
        let reference = Reference::parse("r.example.com/a").unwrap();
        let default_labels = defaults.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let previous = Previous { reference: &reference, default_labels: &default_labels };
        previous.without_commit(one) == previous.without_commit(other)
    }

    #[test]
    fn times_and_labels_of_the_commit_make_no_other_image() {
        let all = [REVISION, CREATED, VERSION];
        let first = config(COMMIT, "latest", "2024-01-01T00:00:00Z");
        assert!(is_same(&all, first.clone(), config(OTHER, "latest", "2025-01-01T00:00:00Z")));
        assert!(!is_same(&all, first.clone(), config(OTHER, "1.5.0", "2025-01-01T00:00:00Z")), "another version");
        let asked = config(OTHER, "latest", "2024-01-01T00:00:00Z");
        assert!(!is_same(&[CREATED, VERSION], first.clone(), asked), "a rule asked for the commit");
        let mut other = config(OTHER, "latest", "2025-01-01T00:00:00Z");
        other.config.labels.insert("mine".to_owned(), "y".to_owned());
        assert!(!is_same(&all, first, other));
    }

    #[test]
    fn versions_that_name_the_commit_are_the_same() {
        let all = [REVISION, CREATED, VERSION];
        for version in ["0123456", COMMIT, "main-0123456789ab"] {
            let other = version.replace(COMMIT, OTHER).replace("0123456789ab", "fedcba987654");
            let other = other.replace("0123456", "fedcba9");
            assert_ne!(version, other);
            let (one, two) = (config(COMMIT, version, "2024-01-01T00:00:00Z"), config(OTHER, &other, "x"));
            assert!(is_same(&all, one, two), "{version}");
        }
        assert_eq!(without("012345", COMMIT), "012345");
    }
}
