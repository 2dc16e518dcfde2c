//! SQL, the only place: deliveries, builds (the queue), steps, logs, cache index, tag order, repositories, tokens, secrets.
//!
//! One transaction accepts a delivery with its builds; one conditional update ends a build. Times are those of the
//! machine the database is on, in milliseconds since 1970. SQLite and PostgreSQL behave the same: see `sql`.
#![forbid(unsafe_code)]

mod access;
mod database;
mod deliveries;
mod error;
mod history;
mod model;
mod outbox;
mod queue;
mod reconcile;
mod registry;
mod retention;
mod sql;
mod tags;
#[cfg(test)]
mod tests;
mod worker_query;

pub use access::audit_log::{AuditEntry, AuditFilter, NewAuditEntry};
pub use access::deploy_key::DeployKey;
pub use access::device_login::{DeviceLogin, DeviceState};
pub use access::identity::{Identity, IdentityRight, KnownLogin};
pub use access::redaction::redact;
pub use access::repository::{Put, RepositoryRecord};
pub use access::secret::KeyFit;
pub use access::secret_key::SecretKey;
pub use access::session::{NewSession, Session, SessionOwner, session_name};
pub use access::token::{NewToken, TokenRecord};
pub use database::{Database, Settings};
pub use deliveries::accept::IdempotencyKey;
pub use deliveries::delivery::{Delivery, DeliveryFilter};
pub use deliveries::forge_repository::{ForgeRepository, ToldRepository};
pub use deliveries::rules_fetch::{AnsweredRulesFetch, RulesFetchClaim, RulesFetchResult};
pub use error::Error;
pub use history::builds::{BuildFilter, BuildPage, BuildSearch};
pub use history::cache::CachedLayer;
pub use history::contents::{
    DiskPart, DiskUse, FileDifference, FileFacts, FileKind, FileListing, ImageContents, ImageDifference, ImageLayer,
    ImagePair, ImagePart, ImageSettings, ListedFile, PackageDifference, SettingDifference, ShadowPair,
};
pub use history::counts::Counts;
pub use history::explain::{ChangedPath, ChangingCommit, Explained, ExplainedStep, PathChange, Was, Why};
pub use history::trace::{PathPiece, Usage};
pub use history::trend::TrendPoint;
pub use model::bake::{BakeFile, BakedTarget, TargetContext, TargetSettings};
pub use model::build::{Build, Reason};
pub use model::build_id::BuildId;
pub use model::build_request::{
    BuildOptions, BuildRequest, BuildSpec, LayerCompression, PathFilter, Policy, PullImage,
};
pub use model::build_state::BuildState;
pub use model::claim::{Claim, Outcome};
pub use model::delivery::{Accepted, NewDelivery, PushedRef, RefMove};
pub use model::placeholders as marks;
pub use model::pushed_image::{BaseImage, MergedPull, PushedImage};
pub use model::rules_fetch::NewRulesFetch;
pub use model::step::{LogChunk, Step, StepState};
pub use model::trigger::{PullRequest, Trigger};
pub use outbox::commit_status::PendingStatus;
pub use outbox::pull_comment::PendingComment;
pub use outbox::registry_notification::{NewRegistryNotification, RegistryNotification};
pub use outbox::rules_status::CommitStatus;
pub use outbox::status_refusal::{Refusal, StatusAnswer};
pub use outbox::webhook::{Event, WebhookRecord};
pub use outbox::webhook_delivery::{Notification, NotificationState, Sent};
pub use queue::approve::Approved;
pub use queue::cancel::Cancel;
pub use queue::claim::Lease;
pub use queue::forecast::{QueuePlace, QueuedBuild, WaitingFor};
pub use queue::group::GroupTarget;
pub use queue::overview::RunningBuild;
pub use queue::retry::{Retried, RetryFrom};
pub use queue::rollback::RolledBack;
pub use queue::wakeup::WorkWatch;
pub use queue::workers::{WorkerInfo, WorkerRecord};
pub use reconcile::base_image::{BaseImageClaim, Named, SeenImage, WatchedImage};
pub use reconcile::missed_push::{AnsweredRefPoll, FoundPush, MissedPush};
pub use reconcile::ref_poll::{Heads, Looked, MovedRef, RefPollClaim, RefPollState, Seen};
pub use reconcile::schedule::OwnSchedule;
pub use registry::account::{Account, NewAccount, Right, check_account_name};
pub use registry::audit::{Change, ChangeFilter, NewChange};
pub use registry::password::{check_password, generate_password, hash_password, password_matches};
pub use registry::refresh::RefreshToken;
pub use retention::plan::{Limit, Limits, RetentionPolicy};
pub use retention::removals::Removed;
pub use sql::build_changes::{BuildWatch, BuildsWatch};
pub use tags::publish::Publish;
pub use tags::pull_tag::PullTag;
pub use tags::tag_check::{TagCheck, TagVerdict};
pub use worker_query::{
    Answer, DryRun, DryRunStep, FoundRules, StepForecast, TIMEOUT as WORKER_QUERY_TIMEOUT, WorkerQuery,
    WorkerQueryClaim,
};
