//! The queue as the API shows it.

use super::time::moment;
use database::{BuildId, QueuePlace, QueuedBuild, WaitingFor, WorkerRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The place of a build in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueuePlaceView {
    /// 1 for the next; null for a build that waits for an approval.
    pub position: Option<i64>,
    /// Ids of builds that are claimed before it, the first of them.
    pub ahead: Vec<String>,
    /// `slot`, `serial_group`, `backoff`, `resume` or `approval`.
    pub waiting_for: String,
    /// Seconds until it probably begins.
    pub starts_in_seconds: Option<i64>,
    /// Seconds until its probable end.
    pub eta_seconds: Option<i64>,
}

/// A queued build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueuedBuildView {
    /// Its place.
    #[serde(flatten)]
    pub place: QueuePlaceView,
    /// Its id.
    pub id: String,
    /// `namespace/name`.
    pub repo: String,
    /// Name of the rule.
    pub rule: String,
    /// Full name of the ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// 1 before all others, -1 after all others.
    pub priority: i64,
    /// Time at which it was accepted.
    pub created_at: Option<String>,
}

/// The queue in the order in which it is likely to be worked off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// Whether no builds are given out.
    pub paused: bool,
    /// Builds that wait for a worker.
    pub length: i64,
    /// The first of them.
    pub builds: Vec<QueuedBuildView>,
    /// The workers.
    pub workers: Vec<WorkerView>,
}

/// A worker process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// Builds that it runs at once.
    pub slots: i64,
    /// Whether it gets no more builds.
    #[serde(default)]
    pub drained: bool,
    /// Time at which it was last heard of.
    #[serde(default)]
    pub seen_at: Option<String>,
    /// Version of its program; this and the rest are null for a worker of an older version.
    #[serde(default)]
    pub version: Option<String>,
    /// Its platform.
    #[serde(default)]
    pub platform: Option<String>,
    /// Bytes of the disk with its data directory.
    #[serde(default)]
    pub disk_bytes: Option<u64>,
    /// Bytes of that disk that are free.
    #[serde(default)]
    pub disk_free_bytes: Option<u64>,
    /// Protections of builds that its machine does not have.
    #[serde(default)]
    pub unprotected: Option<Vec<String>>,
}

/// Whether the queue is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PausedView {
    /// Whether no builds are given out.
    pub paused: bool,
}

impl QueuePlaceView {
    /// Returns a place as the API shows it.
    pub fn new(place: &QueuePlace) -> QueuePlaceView {
        QueuePlaceView {
            position: place.position,
            ahead: place.ahead.iter().map(BuildId::as_str).map(str::to_owned).collect(),
            waiting_for: waiting_for(place.waiting_for).to_owned(),
            starts_in_seconds: place.starts_in_ms.map(seconds),
            eta_seconds: place.eta_ms.map(seconds),
        }
    }
}

impl From<&QueuedBuild> for QueuedBuildView {
    fn from(build: &QueuedBuild) -> QueuedBuildView {
        QueuedBuildView {
            place: QueuePlaceView::new(&build.place),
            id: build.id.as_str().to_owned(),
            repo: build.repository.clone(),
            rule: build.rule.clone(),
            git_ref: build.git_ref.clone(),
            priority: build.priority,
            created_at: moment(build.created_ms),
        }
    }
}

impl From<&WorkerRecord> for WorkerView {
    fn from(worker: &WorkerRecord) -> WorkerView {
        let info = worker.info.as_ref();
        WorkerView {
            name: worker.name.clone(),
            slots: worker.slots,
            drained: worker.is_drained,
            seen_at: moment(worker.seen_ms),
            version: info.map(|info| info.version.clone()),
            platform: info.map(|info| info.platform.clone()),
            disk_bytes: info.map(|info| info.disk_bytes),
            disk_free_bytes: info.map(|info| info.disk_free_bytes),
            unprotected: info.map(|info| info.unprotected.clone()),
        }
    }
}

fn waiting_for(waiting_for: WaitingFor) -> &'static str {
    match waiting_for {
        WaitingFor::Slot => "slot",
        WaitingFor::SerialGroup => "serial_group",
        WaitingFor::Backoff => "backoff",
        WaitingFor::Resume => "resume",
        WaitingFor::Approval => "approval",
    }
}

fn seconds(milliseconds: i64) -> i64 {
    (milliseconds + 999) / 1000
}
