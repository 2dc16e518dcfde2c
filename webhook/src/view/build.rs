//! Builds as the API shows them: in lists, alone, and in requests to webhooks.

use super::queue::QueuePlaceView;
use super::target::TargetView;
use super::text::word;
use super::time::moment;
use super::trigger::TriggerView;
use crate::configuration::Settings;
use database::{BaseImage, Build, BuildState, Database, PathPiece, Reason, Refusal, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A build as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BuildView {
    /// `bld_` and 32 hexadecimal digits; ids sort by time.
    pub id: String,
    /// Counts the builds of the repository from 1.
    pub number: i64,
    /// `namespace/name`.
    pub repo: String,
    /// Name of the rule.
    pub rule: String,
    /// Id of the build of the rule, if this is one of the targets that its bake file or compose file names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Full name of the ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Full hash; unknown until a worker has resolved the ref.
    pub commit: Option<String>,
    /// First line of the commit's message.
    pub commit_message: String,
    /// The event that started the build.
    pub trigger: TriggerView,
    /// References that the image gets; `{number}` and `{sha}` stand for values that are not known yet.
    pub tags: Vec<String>,
    /// Sentences about parts that were changed or left out.
    pub warnings: Vec<String>,
    /// `parallel`, `serial` or `latest-only`.
    pub policy: String,
    /// 1 before all others, -1 after all others.
    pub priority: i64,
    /// Platforms such as `linux/amd64`; empty for the worker's own.
    pub platforms: Vec<String>,
    /// `queued`, `preparing`, `building`, `pushing`, `succeeded`, `failed`, `errored`, `cancelled`, `superseded`,
    /// `timed_out` or `skipped`.
    pub state: String,
    /// Docker Hub's word for the state.
    pub hub_state: String,
    /// The attempt that runs or ran last; 0 before the first.
    pub attempt: i64,
    /// The reason of the end, unless the build succeeded.
    pub reason: Option<ReasonView>,
    /// The image, after success.
    pub image: Option<ImageView>,
    /// Images of registries that the image was made from.
    pub base_images: Option<Vec<BaseImageView>>,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// Whether it gets secrets and logins: builds of forks do not.
    pub trusted: bool,
    /// Whether the image is pushed.
    pub push: bool,
    /// Whether it waits for an approval.
    pub held: bool,
    /// Name of the token that approved it.
    pub approved_by: Option<String>,
    /// Time at which retention removed the log.
    pub log_removed_at: Option<String>,
    /// Time at which it was accepted.
    pub created_at: Option<String>,
    /// Time at which the first attempt began.
    pub started_at: Option<String>,
    /// Time at which it ended.
    pub finished_at: Option<String>,
    /// URLs.
    pub links: BuildLinks,
}

/// The reason for the end of a build, or for a failure that a dry run foresees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReasonView {
    /// Stable code.
    pub code: String,
    /// One or more lines of text.
    pub message: String,
}

/// An image that a registry accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageView {
    /// Digest of the manifest.
    pub digest: String,
    /// Media type of the manifest.
    pub media_type: String,
    /// Bytes of the config and all compressed layers.
    pub size: u64,
    /// References that name it.
    pub tags: Vec<String>,
    /// The pull request whose image it is: the same files were built for it before it was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<MergedView>,
}

/// A pull request whose image became that of the branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MergedView {
    /// Its number.
    pub pull_request: i64,
    /// Id of the build that made the image.
    pub build: String,
}

/// An image that another one was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaseImageView {
    /// The reference in the Dockerfile, completed.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The platform it was taken for.
    pub platform: String,
    /// Digest of that platform's manifest.
    pub digest: String,
}

/// URLs of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildLinks {
    /// The build itself.
    #[serde(rename = "self")]
    pub this: String,
    /// Its log.
    pub logs: String,
    /// Its trace.
    pub trace: String,
    /// The reasons why its steps were executed.
    pub explain: String,
    /// Its page.
    pub html: String,
    /// `POST` cancels it.
    pub cancel: String,
    /// `POST` repeats it.
    pub retry: String,
    /// `POST` approves it.
    pub approve: String,
    /// The repository's badge.
    pub badge: String,
}

/// A build with its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BuildDetails {
    /// The build as lists show it.
    #[serde(flatten)]
    pub build: BuildView,
    /// Steps in the order of the Dockerfile, platform after platform.
    pub steps: Vec<StepView>,
    /// The work that the end of the build waited for, in order.
    pub critical_path: Vec<PathPieceView>,
    /// Processor time in milliseconds, once an attempt has ended.
    pub cpu_ms: Option<i64>,
    /// The forge's refusal of its commit status.
    pub status_problem: Option<StatusProblem>,
    /// Seconds until its probable end, while it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<Option<i64>>,
    /// Its place in the queue, while it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePlaceView>,
    /// The builds of its targets, if its rule has a bake file or a compose file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<TargetView>>,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Counts the steps from 1.
    pub n: i64,
    /// The instruction on one line.
    pub instruction: String,
    /// Name or number of the stage.
    pub stage: String,
    /// First line in the Dockerfile.
    pub line: i64,
    /// `pending`, `waiting`, `running`, `succeeded`, `failed`, `cancelled` or `not_reached`.
    pub state: String,
    /// Whether the layer came from the cache.
    pub cached: bool,
    /// Exit code of a `RUN`.
    pub exit_code: Option<i64>,
    /// The layer, if the step makes one.
    pub layer: Option<LayerView>,
    /// Time at which it began.
    pub started_at: Option<String>,
    /// Milliseconds that it took.
    pub duration_ms: Option<i64>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LayerView {
    /// Digest of the compressed layer.
    pub digest: String,
    /// Its bytes.
    pub size: Option<u64>,
}

/// A piece of the critical path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathPieceView {
    /// `fetch`, `resolve`, `step`, `upload`, …
    pub work: String,
    /// The subject of the work.
    pub name: String,
    /// Milliseconds.
    pub duration_ms: f64,
}

/// A commit status that the forge refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusProblem {
    /// The forge's words.
    pub problem: String,
    /// The time of the refusal.
    pub at: Option<String>,
}

/// A list of builds, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BuildList {
    /// The builds.
    pub builds: Vec<BuildView>,
    /// `cursor` of the next part; null at the end.
    pub next_cursor: Option<String>,
}

/// A build that was asked to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelView {
    /// Its id.
    pub id: String,
    /// Always true.
    pub cancel_requested: bool,
}

impl BuildView {
    /// Returns a build as lists show it.
    pub fn new(build: &Build, settings: &Settings) -> BuildView {
        let (request, options) = (&build.request, &build.request.spec.options);
        BuildView {
            id: build.id.as_str().to_owned(),
            number: build.number,
            repo: request.repository.clone(),
            rule: request.rule.clone(),
            group: request.group().map(|group| group.as_str().to_owned()),
            git_ref: request.spec.git_ref.clone(),
            commit: build.commit.clone(),
            commit_message: request.commit_message.clone(),
            trigger: TriggerView::new(build),
            tags: build.shown_tags(),
            warnings: options.warnings.iter().chain(&build.warnings).cloned().collect(),
            policy: word(options.policy),
            priority: options.priority,
            platforms: options.platforms.clone(),
            state: build.state.as_str().to_owned(),
            hub_state: hub_state(build.state).to_owned(),
            attempt: build.attempt,
            reason: build.reason.as_ref().map(ReasonView::from),
            image: build.image.as_ref().map(|image| ImageView {
                digest: image.digest.clone(),
                media_type: image.media_type.clone(),
                size: image.size,
                tags: image.tags.clone(),
                merged: image
                    .merged
                    .as_ref()
                    .map(|merged| MergedView { pull_request: merged.number, build: merged.build.as_str().to_owned() }),
            }),
            base_images: build.image.as_ref().map(|image| image.base_images.iter().map(BaseImageView::from).collect()),
            cancel_requested: build.cancel_requested,
            trusted: options.trusted,
            push: request.spec.push,
            held: build.awaits_approval,
            approved_by: build.approved_by.clone(),
            log_removed_at: build.log_removed_ms.and_then(moment),
            created_at: moment(build.created_ms),
            started_at: build.started_ms.and_then(moment),
            finished_at: build.finished_ms.and_then(moment),
            links: BuildLinks::new(build, settings),
        }
    }
}

impl BuildLinks {
    fn new(build: &Build, settings: &Settings) -> BuildLinks {
        let id = build.id.as_str();
        let url = |rest: &str| format!("{}/{rest}", settings.public_url);
        BuildLinks {
            this: url(&format!("v1/builds/{id}")),
            logs: url(&format!("v1/builds/{id}/logs")),
            trace: url(&format!("v1/builds/{id}/trace")),
            explain: url(&format!("v1/builds/{id}/explain")),
            html: url(&format!("builds/{id}")),
            cancel: url(&format!("v1/builds/{id}/cancel")),
            retry: url(&format!("v1/builds/{id}/retry")),
            approve: url(&format!("v1/builds/{id}/approve")),
            badge: url(&format!("badges/{}.svg", build.request.repository)),
        }
    }
}

impl BuildDetails {
    /// Reads the steps and figures of a build.
    pub async fn read(
        database: &Database,
        settings: &Settings,
        build: &Build,
    ) -> Result<BuildDetails, database::Error> {
        let targets = match build.request.spec.options.bake {
            Some(_) => Some(database.group_targets(&build.id).await?.iter().map(TargetView::from).collect()),
            None => None,
        };
        let queue = database.queue_place(&build.id).await?.map(|place| QueuePlaceView::new(&place));
        Ok(BuildDetails {
            build: BuildView::new(build, settings),
            steps: database.steps(&build.id).await?.iter().map(StepView::from).collect(),
            critical_path: database.critical_path(&build.id).await?.iter().map(PathPieceView::from).collect(),
            cpu_ms: database.cpu_ms(&build.id).await?,
            status_problem: database.refusal(&build.id).await?.as_ref().map(StatusProblem::from),
            eta_seconds: queue.as_ref().map(|place| place.eta_seconds),
            queue,
            targets,
        })
    }
}

impl From<&Reason> for ReasonView {
    fn from(reason: &Reason) -> ReasonView {
        ReasonView { code: reason.code.clone(), message: reason.message.clone() }
    }
}

impl From<&BaseImage> for BaseImageView {
    fn from(image: &BaseImage) -> BaseImageView {
        BaseImageView {
            reference: image.reference.clone(),
            platform: image.platform.clone(),
            digest: image.digest.clone(),
        }
    }
}

impl From<&Step> for StepView {
    fn from(step: &Step) -> StepView {
        let layer = step.layer_digest.as_ref();
        StepView {
            n: step.number,
            instruction: step.instruction.clone(),
            stage: step.stage.clone(),
            line: step.line,
            state: step.state.as_str().to_owned(),
            cached: step.cached,
            exit_code: step.exit_code,
            layer: layer.map(|digest| LayerView { digest: digest.clone(), size: step.layer_size }),
            started_at: step.started_ms.and_then(moment),
            duration_ms: step.duration_ms,
        }
    }
}

impl From<&PathPiece> for PathPieceView {
    fn from(piece: &PathPiece) -> PathPieceView {
        let duration_ms = piece.duration_us as f64 / 1000.0;
        PathPieceView { work: piece.work.clone(), name: piece.name.clone(), duration_ms }
    }
}

impl From<&Refusal> for StatusProblem {
    fn from(refusal: &Refusal) -> StatusProblem {
        StatusProblem { problem: refusal.problem.clone(), at: moment(refusal.at_ms) }
    }
}

/// Returns Docker Hub's word for a state.
fn hub_state(state: BuildState) -> &'static str {
    match state {
        BuildState::Queued => "Queued",
        BuildState::Preparing | BuildState::Building | BuildState::Pushing => "Building",
        BuildState::Succeeded | BuildState::Superseded | BuildState::Skipped => "Success",
        _ => "Error",
    }
}
