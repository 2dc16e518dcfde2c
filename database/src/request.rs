//! What is asked for: deliveries, triggers, and the builds that follow from them. Plain data, no SQL.

use crate::BuildId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What started a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trigger {
    /// A push delivered by a forge.
    Push {
        /// The forge's id of the delivery.
        delivery: String,
        /// Who pushed, as the forge says.
        by: String,
    },
    /// A pull request was opened, or its branch was pushed to.
    PullRequest {
        /// The forge's id of the delivery.
        delivery: String,
        /// Who opened it or pushed to it, as the forge says.
        by: String,
        /// The pull request.
        #[serde(flatten)]
        pull: Box<PullRequest>,
    },
    /// A push that no delivery told of: it was found by looking at what the refs of the repository name.
    Reconcile {
        /// Id of the delivery that stands for the one that did not come.
        delivery: String,
    },
    /// Somebody used the trigger endpoint.
    Manual {
        /// The name of the token that was used.
        by: String,
    },
    /// An earlier build was asked for again.
    Retry {
        /// The build that is repeated.
        of: BuildId,
    },
    /// An image that the newest build was made from is another one now.
    BaseImage {
        /// The newest build.
        of: BuildId,
        /// The references that name something else than then.
        references: Vec<String>,
    },
    /// It was due.
    Schedule {
        /// When, in milliseconds since 1970.
        due_ms: i64,
    },
}

/// A pull request, as far as its builds follow from it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number in the repository that it wants to change.
    pub number: i64,
    /// Short name of the branch that it wants to change.
    pub target: String,
    /// Full name of the ref under which that repository has its newest commit.
    pub git_ref: String,
    /// Full hash of its newest commit.
    pub commit: String,
    /// Whether that commit comes from another repository: then strangers wrote it.
    pub is_fork: bool,
}

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
    /// What was changed or left out when the request was made, a sentence each.
    pub warnings: Vec<String>,
    /// Why somebody wanted the build, in their words.
    pub reason: Option<String>,
    /// Images that it may read besides public ones, as `host/path` with `*`; `None` in rows of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
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
            reason: None,
            images: None,
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
    /// What started the build.
    pub trigger: Trigger,
    /// What to build.
    pub spec: BuildSpec,
}

/// A verified delivery, about to be stored.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// `github`, or the name of another forge.
    pub forge: String,
    /// The forge's id of the delivery (`X-GitHub-Delivery`).
    pub delivery: String,
    /// Name of the event (`push`).
    pub event: String,
    /// `namespace/name` of the repository in the configuration.
    pub repository: String,
    /// The body as it was signed.
    pub body: Vec<u8>,
    /// Why nothing is built, when nothing is: `ref_deleted`, `no_rule_matched`, `unknown_event`, `ping`.
    pub ignored: Option<String>,
    /// More about that, a line for each rule.
    pub explain: Vec<String>,
    /// What the push did to its ref, if the event is one.
    pub push: Option<PushedRef>,
    /// The ref of a pull request that it tells the end of: nobody wants its builds any more.
    pub closed: Option<String>,
    /// Whether it is an earlier delivery once more, by somebody's wish: then an equal body is no duplicate.
    pub is_replay: bool,
    /// Whether the forge gave this delivery an id of its own; one that was made of the body says nothing that the body does
    /// not.
    pub has_own_id: bool,
    /// The changes of refs that it reports.
    pub moves: Vec<RefMove>,
    /// Short name of the default branch, if it says.
    pub default_branch: Option<String>,
}

/// A change of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefMove {
    /// Its full name.
    pub git_ref: String,
    /// The commit before; `None` if the ref is new.
    pub before: Option<String>,
    /// The commit now; `None` if the ref was deleted.
    pub after: Option<String>,
}

/// A push, as far as it orders the builds of a ref. Forges deliver out of order; the commits tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRef {
    /// Full name of the ref.
    pub git_ref: String,
    /// Where it pointed before; `None` if it is new.
    pub before: Option<String>,
    /// Where it points now.
    pub after: String,
}

/// What became of a delivery or trigger that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored now, with these builds.
    New(Vec<BuildId>),
    /// Known already, by its id or by its body; these are its builds.
    Duplicate(Vec<BuildId>),
    /// The idempotency key was used before with another body; nothing was stored.
    KeyReused,
}

/// A repository's own rules, to be read by a worker from the pushed commit before its builds are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLookup {
    /// `namespace/name` of the repository in the configuration.
    pub repository: String,
    /// URL the commit is fetched from.
    pub clone_url: String,
    /// Full name of the ref.
    pub git_ref: String,
    /// Full hash of the commit; `None` for the newest of the ref.
    pub commit: Option<String>,
    /// First line of the commit's message, if it is known.
    pub commit_message: String,
    /// What started it.
    pub trigger: Trigger,
    /// Path of the file from the root of the repository.
    pub path: String,
    /// The one rule that is meant; all that match, if there is none.
    #[serde(default)]
    pub rule: Option<String>,
}
