//! Triggers as the API shows them, answers to them, and plans of dry runs.

use super::build::{BuildView, ReasonView};
use super::time::moment;
use database::{Build, Trigger};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The event that started a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerView {
    /// The kind of event, with its own fields.
    #[serde(flatten)]
    pub kind: TriggerKind,
    /// The words of the person who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A kind of trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TriggerKind {
    /// A forge delivered a push.
    Push {
        /// The user who pushed.
        by: String,
        /// The forge's id of the delivery.
        delivery: String,
    },
    /// A forge delivered new commits of a pull request.
    PullRequest {
        /// The user who pushed.
        by: String,
        /// The forge's id of the delivery.
        delivery: String,
        /// Number of the pull request.
        number: i64,
        /// Short name of the branch that it wants to change.
        target: String,
        /// Whether its commits come from another repository.
        fork: bool,
    },
    /// A push that no delivery announced was found.
    Reconcile {
        /// Id of the delivery that was written for it.
        delivery: String,
    },
    /// A request to the API.
    Manual {
        /// Name of the token.
        by: String,
    },
    /// Another build is repeated.
    Retry {
        /// Id of that build.
        of: String,
    },
    /// The image of another build was wanted again.
    Rollback {
        /// Id of that build.
        of: String,
        /// Name of the account or token.
        by: String,
    },
    /// Base images of another build changed.
    BaseImage {
        /// Id of that build.
        of: String,
        /// The references that name other images now.
        references: Vec<String>,
    },
    /// Linked repositories have newer images than another build was made after.
    Link {
        /// Id of that build.
        of: String,
        /// The linked repositories.
        repositories: Vec<String>,
    },
    /// A schedule of the rule.
    Schedule {
        /// The time at which the build was due.
        due_at: Option<String>,
    },
    /// A kind of a newer server.
    #[serde(other, skip_serializing)]
    Other,
}

impl TriggerKind {
    /// Returns the word for the kind.
    pub fn as_str(&self) -> &'static str {
        match self {
            TriggerKind::Push { .. } => "push",
            TriggerKind::PullRequest { .. } => "pull_request",
            TriggerKind::Reconcile { .. } => "reconcile",
            TriggerKind::Manual { .. } => "manual",
            TriggerKind::Retry { .. } => "retry",
            TriggerKind::Rollback { .. } => "rollback",
            TriggerKind::BaseImage { .. } => "base_image",
            TriggerKind::Link { .. } => "link",
            TriggerKind::Schedule { .. } => "schedule",
            TriggerKind::Other => "another event",
        }
    }
}

impl TriggerView {
    /// Returns the event that started a build.
    pub fn new(build: &Build) -> TriggerView {
        let kind = match build.request.trigger.clone() {
            Trigger::Push { delivery, by } => TriggerKind::Push { by, delivery },
            Trigger::PullRequest { delivery, by, pull } => {
                TriggerKind::PullRequest { by, delivery, number: pull.number, target: pull.target, fork: pull.is_fork }
            }
            Trigger::Reconcile { delivery } => TriggerKind::Reconcile { delivery },
            Trigger::Manual { by } => TriggerKind::Manual { by },
            Trigger::Retry { of } => TriggerKind::Retry { of: of.as_str().to_owned() },
            Trigger::Rollback { of, by } => TriggerKind::Rollback { of: of.as_str().to_owned(), by },
            Trigger::BaseImage { of, references } => TriggerKind::BaseImage { of: of.as_str().to_owned(), references },
            Trigger::Link { of, repositories } => TriggerKind::Link { of: of.as_str().to_owned(), repositories },
            Trigger::Schedule { due_ms } => TriggerKind::Schedule { due_at: moment(due_ms) },
        };
        TriggerView { kind, reason: build.request.spec.options.reason.clone() }
    }
}

/// The answer to a trigger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriggeredView {
    /// The builds.
    pub builds: Vec<BuildView>,
    /// Whether they were queued or running before, with `dedupe=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deduplicated: Option<bool>,
    /// `rules`, if the repository's own rules are fetched first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Number of that fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules_fetch: Option<i64>,
}

/// The answer to a trigger: builds, or a plan of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TriggerAnswer {
    /// A plan, for a dry run.
    Plan(PlanView),
    /// Builds that have ended, or were queued before.
    Triggered(TriggeredView),
}

/// The answer to a dry run: nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    /// Always true; if nothing would be built, the answer is a problem.
    pub would_build: bool,
    /// The builds that would be queued.
    pub plan: Vec<PlannedBuild>,
    /// A line for each rule that builds nothing.
    pub explain: Vec<String>,
    /// A sentence about steps that no worker forecast in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A build that would be queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedBuild {
    /// Name of the rule.
    pub rule: String,
    /// Full name of the ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Full hash, once a worker has resolved the ref.
    pub commit: Option<String>,
    /// Path of the Dockerfile.
    pub dockerfile: String,
    /// Path of the context; empty for the root.
    pub context: String,
    /// Stage to build.
    pub target: Option<String>,
    /// References that the image would get.
    pub tags: Vec<String>,
    /// Build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Platforms.
    pub platforms: Vec<String>,
    /// Names of secrets that steps may mount.
    pub secrets: Vec<String>,
    /// `parallel`, `serial` or `latest-only`.
    pub policy: String,
    /// Sentences about parts that were changed or left out.
    pub warnings: Vec<String>,
    /// Whether cached steps are used.
    pub cache: bool,
    /// Whether the image is pushed.
    pub push: bool,
    /// The steps; null if no worker forecast them.
    pub steps: Option<Vec<PlannedStep>>,
    /// The failure that is certain already.
    pub would_fail: Option<ReasonView>,
    /// Whether all steps would come from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_cached: Option<bool>,
}

/// A step of a build that would be queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// Counts the steps from 1.
    pub n: i64,
    /// Name or number of the stage.
    pub stage: String,
    /// The instruction on one line.
    pub instruction: String,
    /// First line in the Dockerfile.
    pub line: i64,
    /// `cached`, `executed`, `open` (not known before) or `setting` (it makes no layer).
    pub would_be: String,
}

/// The answer to one of Docker Hub's trigger URLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HubTriggerView {
    /// Always `Queued`.
    pub state: String,
    /// The builds that were queued.
    pub builds: Vec<HubBuildView>,
    /// A line for each rule that builds nothing.
    pub explain: Vec<String>,
}

/// A build that one of Docker Hub's trigger URLs queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HubBuildView {
    /// Name of the rule.
    pub rule: String,
    /// Full name of the ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// References that the image gets.
    pub tags: Vec<String>,
}
