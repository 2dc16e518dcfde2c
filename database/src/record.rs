//! The rows as the rest of slipway sees them: plain data, no SQL.

use crate::BuildRequest;
use serde::{Deserialize, Serialize};

/// Identifies one build: `bld_` and a UUIDv7 without hyphens, so ids sort by time and cannot be guessed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BuildId(pub(crate) String);

/// Where a build is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildState {
    /// Waits for a worker.
    Queued,
    /// A worker fetches the commit, plans and resolves.
    Preparing,
    /// Steps are executed.
    Building,
    /// The last layers, the manifest and the tags are pushed.
    Pushing,
    /// The image is in the registry.
    Succeeded,
    /// The user's Dockerfile, source or settings are to blame.
    Failed,
    /// The service or an upstream is to blame, after all attempts.
    Errored,
    /// Somebody asked for its end.
    Cancelled,
    /// A newer commit of the same ref was published or queued first.
    Superseded,
    /// It took longer than it may.
    TimedOut,
    /// Nothing was to be built: the push cannot change the image.
    Skipped,
}

/// Why a build ended as it did, for people and for tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code: `step_failed`, `dockerfile_not_found`, `source_auth`, `registry`, `cancelled`, …
    pub code: String,
    /// One or more plain lines; may hold a source snippet and the last lines a step printed.
    pub message: String,
}

/// An image that a registry accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedImage {
    /// Digest of the manifest.
    pub digest: String,
    /// Media type of the manifest.
    pub media_type: String,
    /// Bytes of all compressed layers and the config.
    pub size: u64,
    /// The references that name it now.
    pub tags: Vec<String>,
    /// Key of everything that the image was made from in the repository, for [`crate::Database::last_published`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_key: Option<String>,
    /// The images of registries that it was made from.
    #[serde(default)]
    pub base_images: Vec<BaseImage>,
}

/// An image that a build started from or copied from, as the registry had it then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BaseImage {
    /// The reference in the Dockerfile, completed: with a digest only if it is pinned there.
    pub reference: String,
    /// The platform it was taken for: `linux/amd64`.
    pub platform: String,
    /// Digest of that platform's manifest.
    pub digest: String,
}

/// A build as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its id.
    pub id: BuildId,
    /// Counts the builds of its repository from 1.
    pub number: i64,
    /// The request as it was accepted.
    pub request: BuildRequest,
    /// Order among the pushes to the same ref: the builds of one push have the same.
    pub sequence: i64,
    /// Where it is.
    pub state: BuildState,
    /// Which attempt runs or ran last; 0 before the first.
    pub attempt: i64,
    /// The commit, known from the start or resolved by the worker.
    pub commit: Option<String>,
    /// Why it ended so; `None` while it has not ended and after success.
    pub reason: Option<Reason>,
    /// The image, after success.
    pub image: Option<PushedImage>,
    /// Milliseconds since 1970, UTC.
    pub created_ms: i64,
    /// When the first attempt was claimed.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// Grows with every change of the build or its steps; good for `ETag`.
    pub version: i64,
    /// Whether somebody has asked for its end.
    pub cancel_requested: bool,
    /// Whether it waits until somebody approves it.
    pub is_held: bool,
    /// Who approved it: the name of a token.
    pub approved_by: Option<String>,
    /// When its log was removed because it was too old or there was too much, in milliseconds since 1970.
    pub log_removed_ms: Option<i64>,
    /// Warnings of its worker about the commit, a sentence each.
    pub warnings: Vec<String>,
}

/// A worker's lease on a build. Every write of the worker carries it; a write under a lease that was lost is refused.
#[derive(Debug)]
pub struct Claim {
    /// The build as it was when it was claimed.
    pub build: Build,
    /// Number of this attempt, from 1.
    pub attempt: i64,
}

/// One step of a build, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Counts the steps of the build from 1, in the order of the plan.
    pub number: i64,
    /// The instruction as it is written, joined to one line.
    pub instruction: String,
    /// Name or number of its stage.
    pub stage: String,
    /// First line in the Dockerfile, from 1.
    pub line: i64,
    /// Where it is.
    pub state: StepState,
    /// Whether the layer came from the cache.
    pub cached: bool,
    /// Exit code of the command of a `RUN`.
    pub exit_code: Option<i64>,
    /// Digest of the compressed layer.
    pub layer_digest: Option<String>,
    /// Bytes of the compressed layer.
    pub layer_size: Option<u64>,
    /// When what it needs was there and it started, in milliseconds since 1970.
    pub started_ms: Option<i64>,
    /// How long it took from then on.
    pub duration_ms: Option<i64>,
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not yet begun.
    Pending,
    /// Needs the files of another stage, which is not done.
    Waiting,
    /// Under way.
    Running,
    /// Done, or taken from the cache.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Given up while it ran, because another step failed or the build was cancelled.
    Cancelled,
    /// Not begun when the build ended.
    NotReached,
}

impl StepState {
    /// Returns the state's name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            StepState::Pending => "pending",
            StepState::Waiting => "waiting",
            StepState::Running => "running",
            StepState::Succeeded => "succeeded",
            StepState::Failed => "failed",
            StepState::Cancelled => "cancelled",
            StepState::NotReached => "not_reached",
        }
    }
}

/// A piece of a build's log. The log of a build is the concatenation of its chunks in the order of `offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Byte position of the chunk in the build's log.
    pub offset: i64,
    /// The step that printed it; `None` for what slipway itself says.
    pub step: Option<i64>,
    /// What was printed.
    pub text: Vec<u8>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The registry accepted the image.
    Succeeded(PushedImage),
    /// A newer commit was published first; the image was pushed without its mutable tags.
    Superseded(PushedImage),
    /// The user is to blame; never retried.
    Failed(Reason),
    /// The service or an upstream is to blame; goes back to the queue unless this was the last attempt.
    Retry(Reason),
    /// It was cancelled.
    Cancelled,
    /// It took longer than it may.
    TimedOut(Reason),
    /// Nothing was to be built: `path_unchanged` and why.
    Skipped(Reason),
    /// The worker was asked to end: goes back to the queue, and the attempt does not count.
    GivenBack,
}

/// Which builds a list shall hold; newest first.
#[derive(Debug, Clone, Default)]
pub struct BuildFilter {
    /// Only this repository.
    pub repository: Option<String>,
    /// Only these repositories: those that the caller may see.
    pub among: Option<Vec<String>>,
    /// Only this rule.
    pub rule: Option<String>,
    /// Only this ref, full name.
    pub git_ref: Option<String>,
    /// Only branches and tags: no pull requests.
    pub is_of_repository: bool,
    /// Only commits that begin with these hexadecimal digits.
    pub commit: Option<String>,
    /// Only builds for this tag: a full reference, or its last part alone.
    pub tag: Option<String>,
    /// Only this state.
    pub state: Option<BuildState>,
    /// Only builds that this kind of trigger started: `push`, `pull_request`, `reconcile`, `manual`, `retry`,
    /// `base_image`, `schedule`.
    pub trigger: Option<String>,
    /// Only builds accepted at this moment or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Only builds older than this id.
    pub before: Option<BuildId>,
    /// At most so many (1 to 200).
    pub limit: u32,
}

/// A part of a list of builds.
#[derive(Debug, Clone, Default)]
pub struct BuildPage {
    /// Newest first.
    pub builds: Vec<Build>,
    /// What [`BuildFilter::before`] must be for the next part; nothing if this is the last one.
    pub next: Option<BuildId>,
}

/// A layer that the cache knows: everything needed to use it without having it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedLayer {
    /// Digest of the uncompressed tar.
    pub diff_id: String,
    /// Digest of the compressed blob.
    pub digest: String,
    /// Bytes of the compressed blob.
    pub size: u64,
    /// Media type of the compressed blob.
    pub media_type: String,
    /// Whether the layer has no entries.
    pub empty: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// For a layer that is known by its definition, the key of its content.
    #[serde(default)]
    pub content_key: Option<String>,
    /// The time of the build that made it, in seconds since 1970; rows of earlier versions have none.
    #[serde(default)]
    pub made: Option<i64>,
}

/// What commit status is to be told to a forge: the outbox, written together with the change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingStatus {
    /// Row to acknowledge.
    pub id: i64,
    /// The build it is about, as it was then: `state` may be older than the build's present one.
    pub build: BuildId,
    /// Repository of the build.
    pub repository: String,
    /// Full commit hash.
    pub commit: String,
    /// Rule of the build.
    pub rule: String,
    /// The state to report.
    pub state: BuildState,
    /// Short text: the reason's first line, or the image's digest.
    pub description: String,
    /// The forge that told of the commit, or else the one that told of the repository last.
    pub forge: Option<String>,
}

/// A commit status that no build stands behind: the commit's own rules are wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// Row to acknowledge.
    pub id: i64,
    /// Repository of the commit.
    pub repository: String,
    /// Full commit hash.
    pub commit: String,
    /// The problem.
    pub description: String,
    /// The forge that told of the repository last.
    pub forge: Option<String>,
}
