//! The one schema: repositories and rules as they are written in the server's `slipway.toml`, in documents of the API and
//! in a repository's own `slipway.toml`.

use super::webhooks::WebhookDocument;
use crate::configuration::retention::RetentionDocument;
use crate::configuration::secret::Secret;
use database::{LayerCompression, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryDocument {
    /// `namespace/name`.
    #[serde(default)]
    pub name: String,
    /// Where commits are fetched from.
    pub clone_url: String,
    /// Where images go, without a tag.
    pub image: String,
    /// The image that another service builds of the same source, without a tag: builds are compared with it, and nothing is
    /// pushed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_of: Option<String>,
    /// Key that deliveries are signed with; written, never shown.
    #[serde(default, skip_serializing)]
    pub secret: Option<Secret>,
    /// The key before, during a change.
    #[serde(default, skip_serializing)]
    pub previous_secret: Option<Secret>,
    /// The forge's name of the repository, `owner/name`, if it differs from its name here.
    #[serde(default, alias = "github", skip_serializing_if = "Option::is_none")]
    pub forge_name: Option<String>,
    /// The forge that it is on, if the host of its clone URL does not say: a host of `[forges]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<String>,
    /// The default branch, if deliveries do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// How the builds of a rule get on with one another, where the rule does not say.
    #[serde(default, alias = "run_policy", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyText>,
    /// Whether submodules are fetched, where the rule does not say: they are, where this is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submodules: Option<bool>,
    /// Which pull requests are built, without being pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_requests: Option<PullRequests>,
    /// Whether Docker Hub's hooks and tests beside a Dockerfile run: they do not, where this is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub_hooks: Option<bool>,
    /// Which pull requests are tested, where hooks run: those that are built, where this is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autotest: Option<Autotest>,
    /// Whether builds of pull requests from forks wait for somebody's approval: they do, where this is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_requests_need_approval: Option<bool>,
    /// For how many days the image of a pull request has a tag of its own, `pr-NUMBER`, which is removed when it is closed: it
    /// has none, where this is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request_tag_days: Option<u32>,
    /// Whether a comment on each pull request tells of its image: none does, where this is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request_comments: Option<bool>,
    /// Whether the newest build of each branch is repeated when an image that it was made from is another one: it is not,
    /// where this is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_image_rebuild: Option<bool>,
    /// Repositories of this slipway whose new images let the newest build of each branch be repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// How long its builds, logs and deliveries are kept, where that differs from `[retention]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionDocument>,
    /// Images that its builds may read besides public ones and their own: `host/path`, with `*` and `**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_read: Vec<String>,
    /// Whether the repository's own `slipway.toml` says what its rules are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_rules: Option<OwnRulesDocument>,
    /// Webhooks that are notified of the repository's builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookDocument>,
    /// The rules; without any, `main` and `master` become `latest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleDocument>,
}

/// The permissions of the repository's own file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnRulesDocument {
    /// The file, from the root of the repository.
    #[serde(default = "own_path")]
    pub path: String,
    /// Secrets of the repository that its file may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Images that its file may name besides the repository's and those below it: `host/path`, with `*` and `**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

fn own_path() -> String {
    "slipway.toml".to_owned()
}

/// A rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleDocument {
    /// Shown with builds and statuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A branch, or `/expression/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A tag, or `/expression/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Where its images go, without a tag: the repository's image, where this is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Templates of the image's tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// A bake file in HCL or JSON: each of its targets is an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bake: Option<String>,
    /// A compose file: each of its services with `build` is an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compose: Option<String>,
    /// Targets, groups or patterns of that file: `default`, where this is not said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The Dockerfile, from the context or, without one, from the root of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The context, from the root of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Stage to build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Build arguments: templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub build_args: BTreeMap<String, String>,
    /// Build arguments that give way to those, and `{env.NAME}` in templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Labels of the image: templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Names of the repository's secrets that steps may mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Platforms such as `linux/amd64`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// How the layers of steps are compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<CompressionText>,
    /// Patterns of paths: pushes that change none of them build nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Which pushes build nothing when there are no `paths`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_filter: Option<FilterText>,
    /// Whether cached steps may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<bool>,
    /// Whether submodules are fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submodules: Option<bool>,
    /// Whether files are fetched that Git LFS keeps: they are, where this is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lfs: Option<bool>,
    /// Whether pushes build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autobuild: Option<bool>,
    /// How the builds of the rule get on with one another.
    #[serde(alias = "run_policy", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyText>,
    /// How long a build may take: `30m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// How long a step may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_timeout: Option<String>,
    /// Which builds go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Moments, as cron writes them, in UTC or after `CRON_TZ=ZONE` in that time zone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<String>,
}

/// A compression of layers, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompressionText {
    /// For every registry and engine.
    Gzip,
    /// Smaller and faster.
    Zstd,
    /// zstd that engines can read in part.
    #[serde(rename = "zstd:chunked")]
    ZstdChunked,
    /// Gzip that engines can read in part.
    Estargz,
}

impl From<CompressionText> for LayerCompression {
    fn from(text: CompressionText) -> LayerCompression {
        match text {
            CompressionText::Gzip => LayerCompression::Gzip,
            CompressionText::Zstd => LayerCompression::Zstd,
            CompressionText::ZstdChunked => LayerCompression::ZstdChunked,
            CompressionText::Estargz => LayerCompression::Estargz,
        }
    }
}

/// How builds of a rule get on with one another, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyText {
    /// Side by side.
    #[serde(alias = "Parallel")]
    Parallel,
    /// One at a time.
    #[serde(alias = "Serial")]
    Serial,
    /// Newer ones end queued older ones.
    #[serde(alias = "SerialLatestOnly", alias = "serial-latest-only", alias = "latest_only")]
    LatestOnly,
}

impl From<PolicyText> for Policy {
    fn from(text: PolicyText) -> Policy {
        match text {
            PolicyText::Parallel => Policy::Parallel,
            PolicyText::Serial => Policy::Serial,
            PolicyText::LatestOnly => Policy::LatestOnly,
        }
    }
}

/// Which pull requests are built; Docker Hub's words are understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PullRequests {
    /// None.
    #[default]
    #[serde(alias = "OFF")]
    Off,
    /// Those whose commits are in the repository itself.
    #[serde(alias = "SOURCE_ONLY")]
    Own,
    /// Those from forks as well.
    #[serde(alias = "SOURCE_AND_FORKS")]
    All,
}

/// Which pull requests are tested; Docker Hub's words are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Autotest {
    /// None: tests are for pushes.
    #[serde(alias = "OFF")]
    Off,
    /// Those whose commits are in the repository itself.
    #[serde(alias = "SOURCE_ONLY")]
    Internal,
    /// Those from forks as well.
    #[serde(alias = "SOURCE_AND_FORKS")]
    All,
}

impl Autotest {
    /// Tells whether a pull request is tested.
    pub(crate) fn tests(self, is_fork: bool) -> bool {
        match self {
            Autotest::Off => false,
            Autotest::Internal => !is_fork,
            Autotest::All => true,
        }
    }
}

/// Which pushes build nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FilterText {
    /// None.
    Off,
    /// Those that cannot change the image.
    Automatic,
}

/// Which builds go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// After all others.
    Low,
    /// In their turn.
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// Returns what the queue sorts by.
    pub fn number(self) -> i64 {
        match self {
            Priority::Low => -1,
            Priority::Normal => 0,
            Priority::High => 1,
        }
    }
}
