//! `[registry]`: how the embedded registry is served.

use super::checks::check_public_url;
use super::notification_section::NotificationSection;
use super::registries::check_path_pattern;
use schemars::JsonSchema;
use serde::Deserialize;

/// `[registry]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySection {
    /// The URL under which others reach the registry, where that is not the one they name in each request.
    pub public_url: Option<String>,
    /// Whether a manifest may name blobs and manifests that its repository does not have.
    pub sparse_manifests: bool,
    /// Whether a manifest that is put by digest gets the tags of its `tag` parameters.
    pub tag_parameters: bool,
    /// Tags that never move, as `repositories:tags`.
    pub immutable_tags: Vec<String>,
    /// MiB that a repository may hold, by patterns of repositories; of several the first counts.
    pub quota_mib: Vec<QuotaSection>,
    /// Days for which deleted tags can be restored.
    pub restore_days: u32,
    /// Tags that are kept; repositories without a rule keep all, and of several rules the first counts.
    pub retention: Vec<RetentionSection>,
    /// Endpoints that are told of what happens in the registry.
    pub notifications: Vec<NotificationSection>,
}

/// `[[registry.quota_mib]]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaSection {
    /// Path of repositories, with `*` and `**`.
    pub repositories: String,
    /// MiB.
    pub mib: u64,
}

/// `[[registry.retention]]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionSection {
    /// Path of repositories, with `*` and `**`.
    pub repositories: String,
    /// The newest tags, so many.
    #[serde(default)]
    pub keep_newest: usize,
    /// Tags that were set within so many days.
    #[serde(default)]
    pub keep_days: u32,
    /// Tags that match one of these, with `*` for any text.
    #[serde(default)]
    pub keep_tags: Vec<String>,
}

impl Default for RegistrySection {
    fn default() -> Self {
        RegistrySection {
            public_url: None,
            sparse_manifests: false,
            tag_parameters: true,
            immutable_tags: Vec::new(),
            quota_mib: Vec::new(),
            restore_days: 1,
            retention: Vec::new(),
            notifications: Vec::new(),
        }
    }
}

impl RegistrySection {
    /// Checks what the types leave open; an error says what is wrong.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        for quota in &self.quota_mib {
            check_path_pattern(&quota.repositories).map_err(|problem| format!("quota_mib: {problem}"))?;
        }
        for rule in &self.retention {
            check_path_pattern(&rule.repositories).map_err(|problem| format!("retention: {problem}"))?;
            if rule.keep_newest == 0 && rule.keep_days == 0 && rule.keep_tags.is_empty() {
                let name = &rule.repositories;
                return Err(format!(
                    "retention: the rule for `{name}` keeps nothing: keep_newest, keep_days or keep_tags say what"
                ));
            }
        }
        for text in &self.immutable_tags {
            let parts = text.split_once(':').filter(|parts| !parts.1.is_empty());
            let (repositories, _) = parts
                .ok_or_else(|| format!("immutable_tags: `{text}` must be repositories and tags, as in team/*:v*"))?;
            check_path_pattern(repositories).map_err(|problem| format!("immutable_tags: {problem}"))?;
        }
        let Some(url) = &mut self.public_url else { return Ok(()) };
        check_public_url(url).map_err(|problem| format!("public_url: {problem}"))?;
        *url = url.trim_end_matches('/').to_owned();
        match url.splitn(4, '/').nth(3) {
            // Clients ask below /v2/ of a host alone.
            Some(_) => Err(format!("public_url: `{url}` has a path: a registry has none")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Configuration;
    use std::path::Path;

    #[test]
    fn the_registry_is_reached_at_a_host_without_a_path() {
        let parse = |text: &str| Configuration::parse(&format!("[registry]\n{text}"), Path::new("."));
        let parsed = parse("public_url = \"https://hub.example.com/\"\nsparse_manifests = true").unwrap();
        assert_eq!(parsed.registry.public_url.as_deref(), Some("https://hub.example.com"));
        assert!(parsed.registry.sparse_manifests && parsed.registry.tag_parameters);
        for (text, expected) in [
            ("public_url = \"https://hub.example.com/v2\"", "has a path"),
            ("public_url = \"hub.example.com\"", "public_url"),
            ("immutable_tags = [\"team/*\"]", "repositories and tags"),
            ("immutable_tags = [\":v*\"]", "immutable_tags: `` must be a path"),
            ("immutable_tags = [\"team/*:\"]", "repositories and tags"),
            ("restore_days = -1", "integer `-1`"),
            ("immutable_tags = [\"Team/*:v*\"]", "must be a path in lower case"),
            ("quota_mib = [{ repositories = \"a:1\", mib = 1 }]", "quota_mib: `a:1`"),
            ("retention = [{ repositories = \"team/*\" }]", "keeps nothing"),
            ("sparse = true", "unknown key `sparse`"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
