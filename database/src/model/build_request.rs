//! Requests for builds: what is to be built, from what, and how. Plain data, no SQL.

use crate::model::bake::{BakeFile, TargetSettings};
use crate::model::build_id::BuildId;
use crate::model::pushed_image::PushedImage;
use crate::model::ref_name::RefName;
use crate::model::trigger::Trigger;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything a worker needs to build: nothing in it says *why*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// URL the commit is fetched from (http, https or ssh), from the server's configuration, never from a payload.
    pub clone_url: String,
    /// Name of the branch or tag with its prefix: `refs/heads/main`.
    pub git_ref: String,
    /// Full hexadecimal hash of the commit; `None` when a trigger named only a ref, which the worker then resolves.
    pub commit: Option<String>,
    /// Path of the Dockerfile from the root of the repository.
    pub dockerfile: String,
    /// Path of the context from the root of the repository; empty for the root.
    pub context: String,
    /// Stage to build; `None` for the last.
    pub target: Option<String>,
    /// Build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Full image references to push, tags included; the first is the primary one.
    pub tags: Vec<String>,
    /// Whether cached steps may be used.
    pub use_cache: bool,
    /// Whether the image is pushed.
    pub push: bool,
    /// Settings that have a default.
    #[serde(flatten)]
    pub options: BuildOptions,
}

/// Settings of a build that have a default, so that rows of earlier versions still read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildOptions {
    /// Platforms (`linux/amd64`); empty for the worker's own.
    pub platforms: Vec<String>,
    /// Labels put on the image.
    pub labels: BTreeMap<String, String>,
    /// Names of the repository's secrets that steps may mount.
    pub secrets: Vec<String>,
    /// Which pushes need not be built.
    pub path_filter: PathFilter,
    /// Patterns of paths for [`PathFilter::Paths`].
    pub paths: Vec<String>,
    /// How the builds of the rule get on with one another.
    pub policy: Policy,
    /// How long the build may take, if less than the worker allows.
    pub timeout_ms: Option<i64>,
    /// How long one step may take, if less than the worker allows.
    pub step_timeout_ms: Option<i64>,
    /// Builds with a greater one are claimed first; 0 is normal.
    pub priority: i64,
    /// Stages whose cached steps are not used.
    pub no_cache_stages: Vec<String>,
    /// Whether it builds what the repository's own people pushed: a build that strangers may start (a fork's pull
    /// request) gets no secrets and a cache of its own.
    pub trusted: bool,
    /// Whether somebody must approve the build before a worker is given it.
    pub needs_approval: bool,
    /// Changes and omissions that were made with the request, a sentence each.
    pub warnings: Vec<String>,
    /// How the layers of its steps are compressed.
    pub compression: LayerCompression,
    /// Why somebody wanted the build, in their words.
    pub reason: Option<String>,
    /// Images that it may read besides public ones, as `host/path` with `*`; `None` in rows of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    /// Whether Docker Hub's hooks of the repository run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hub_hooks: bool,
    /// Whether the tests of its compose files run, where hooks do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hub_tests: bool,
    /// Full name of the ref that is fetched, where the one of the build is a name alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch_ref: Option<String>,
    /// Whether submodules are fetched.
    pub submodules: bool,
    /// Whether files are fetched that Git LFS keeps.
    pub lfs: bool,
    /// The pull request whose commit it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<Box<PullImage>>,
    /// The earlier image that its tags go back to: then nothing is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Box<PushedImage>>,
    /// The file whose targets are built, each by a build of its own: this one is their group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bake: Option<Box<BakeFile>>,
    /// The part of a target that only a bake file can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baked: Option<Box<TargetSettings>>,
}

/// A pull request whose commit is built, and the future of its image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullImage {
    /// Its number.
    pub number: i64,
    /// Short name of the branch that it wants to change.
    pub target: String,
    /// The version that an image of that branch would have: the image is that one once it is merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Days after which its tag is removed; `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_days: Option<i64>,
    /// Whether a comment on the request tells of the build.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comment: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        BuildOptions {
            platforms: Vec::new(),
            labels: BTreeMap::new(),
            secrets: Vec::new(),
            path_filter: PathFilter::default(),
            paths: Vec::new(),
            policy: Policy::default(),
            timeout_ms: None,
            step_timeout_ms: None,
            priority: 0,
            no_cache_stages: Vec::new(),
            trusted: true,
            needs_approval: false,
            warnings: Vec::new(),
            compression: LayerCompression::default(),
            reason: None,
            images: None,
            hub_hooks: false,
            hub_tests: false,
            fetch_ref: None,
            submodules: true,
            lfs: true,
            pull: None,
            image: None,
            bake: None,
            baked: None,
        }
    }
}

/// Which pushes need not be built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathFilter {
    /// Every push is built.
    #[default]
    Off,
    /// A push is built if it changes something that the image is made from.
    Automatic,
    /// A push is built if it changes a path that a pattern names.
    Paths,
}

/// A compression of layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerCompression {
    /// Every registry and engine reads it.
    #[default]
    Gzip,
    /// Smaller and faster, for registries and engines since about 2021.
    Zstd,
    /// zstd that engines can read in part.
    ZstdChunked,
    /// Gzip that engines can read in part.
    Estargz,
}

/// How the builds of a rule get on with one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// They run side by side.
    #[default]
    Parallel,
    /// They run one at a time, in the order in which they were accepted.
    Serial,
    /// A newer one of the same ref ends the queued older ones.
    LatestOnly,
}

/// One accepted request for one commit and one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRequest {
    /// `namespace/name` of the repository in the configuration.
    pub repository: String,
    /// Name of the rule that asked for the build.
    pub rule: String,
    /// First line of the commit's message, if it is known.
    pub commit_message: String,
    /// The trigger of the build.
    pub trigger: Trigger,
    /// The specification of the build.
    pub spec: BuildSpec,
}

impl BuildRequest {
    /// Tells whether a new build waits for approval. A repetition does not: whoever may ask for it may approve it;
    /// nor does a target, whose group was approved.
    pub(crate) fn awaits_approval(&self) -> bool {
        let is_approved = matches!(self.trigger, Trigger::Retry { .. }) || self.group().is_some();
        self.spec.options.needs_approval && !is_approved
    }

    /// Returns the build of the rule, if this is the build of one of its targets.
    pub fn group(&self) -> Option<&BuildId> {
        self.spec.options.baked.as_ref()?.group.as_ref()
    }

    /// Returns the name of the rule, without that of the target.
    pub fn rule_alone(&self) -> &str {
        let target = self.spec.options.baked.as_ref().map(|baked| format!("/{}", baked.target));
        target.and_then(|target| self.rule.strip_suffix(&target)).unwrap_or(&self.rule)
    }

    /// Returns the concurrency group of a new build. Builds that wait for approval have one of their own, so that a claim
    /// looks at one of them, however many there are.
    pub(crate) fn concurrency_group(&self) -> String {
        match self.spec.options.policy {
            _ if self.awaits_approval() => format!("held {}", self.repository),
            Policy::Serial => format!("serial {} {}", self.repository, self.rule),
            Policy::Parallel | Policy::LatestOnly => parallel_group(&self.repository),
        }
    }

    /// Returns the ref that is to be built.
    pub(crate) fn ref_name(&self) -> RefName<'_> {
        RefName { repository: &self.repository, git_ref: &self.spec.git_ref }
    }
}

/// Returns the concurrency group of a repository's builds that run side by side.
pub(crate) fn parallel_group(repository: &str) -> String {
    format!("parallel {repository}")
}
