//! Triggers of builds. Plain data, no SQL.

use crate::model::build_id::BuildId;
use serde::{Deserialize, Serialize};

/// The reason that a build exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trigger {
    /// A push delivered by a forge.
    Push {
        /// The forge's id of the delivery.
        delivery: String,
        /// The pusher's name, as the forge gives it.
        by: String,
    },
    /// A pull request was opened, or its branch was pushed to.
    PullRequest {
        /// The forge's id of the delivery.
        delivery: String,
        /// Name of the person who opened it or pushed to it, as the forge gives it.
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
    /// Somebody wanted the image of an earlier build again.
    Rollback {
        /// The build that made it.
        of: BuildId,
        /// The account or token that was used.
        by: String,
    },
    /// An image that the newest build was made from is another one now.
    BaseImage {
        /// The newest build.
        of: BuildId,
        /// The references that name something else than then.
        references: Vec<String>,
    },
    /// A linked repository has a newer image than the newest build was made after.
    Link {
        /// The newest build.
        of: BuildId,
        /// The linked repositories with newer images.
        repositories: Vec<String>,
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
    /// Full hash of its newest commit; of Bitbucket's cloud the beginning of it.
    pub commit: String,
    /// Full name of the branch of the repository that it comes from, where `git_ref` is a name alone and no ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether that commit comes from another repository: then strangers wrote it.
    pub is_fork: bool,
}

impl PullRequest {
    /// Returns the newest commit, if all of its hash is known.
    pub fn full_commit(&self) -> Option<&str> {
        Some(self.commit.as_str()).filter(|commit| matches!(commit.len(), 40 | 64))
    }
}

impl Trigger {
    /// The kind of a push.
    pub(crate) const PUSH: &str = "push";
    /// The kind of a push that was found.
    pub(crate) const RECONCILE: &str = "reconcile";
    /// The kind of a pull request.
    pub(crate) const PULL_REQUEST: &str = "pull_request";
    /// The kind of a repetition.
    pub(crate) const RETRY: &str = "retry";

    /// Returns the kind of the trigger, as it is stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Trigger::Push { .. } => Trigger::PUSH,
            Trigger::PullRequest { .. } => Trigger::PULL_REQUEST,
            Trigger::Reconcile { .. } => Trigger::RECONCILE,
            Trigger::Manual { .. } => "manual",
            Trigger::Retry { .. } => Trigger::RETRY,
            Trigger::Rollback { .. } => "rollback",
            Trigger::BaseImage { .. } => "base_image",
            Trigger::Link { .. } => "link",
            Trigger::Schedule { .. } => "schedule",
        }
    }

    /// Tells whether a push started it, and not somebody's wish.
    pub fn is_push(&self) -> bool {
        matches!(self, Trigger::Push { .. } | Trigger::Reconcile { .. })
    }

    /// Returns the pull request that started it, if one did.
    pub fn pull_request(&self) -> Option<&PullRequest> {
        if let Trigger::PullRequest { pull, .. } = self { Some(pull) } else { None }
    }

    /// Tells whether it follows from new commits, of which the forge may tell in another order than theirs.
    pub(crate) fn is_delivered(&self) -> bool {
        self.is_push() || matches!(self, Trigger::PullRequest { .. })
    }
}
