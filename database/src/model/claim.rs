//! Attempts at a build: the lease that one has, and how it ends. Plain data, no SQL.

use crate::model::bake::BakedTarget;
use crate::model::build::{Build, Reason};
use crate::model::build_id::BuildId;
use crate::model::pushed_image::PushedImage;
/// A worker's lease on a build. Every write of the worker carries it; a write under a lease that was lost is refused.
#[derive(Debug)]
pub struct Claim {
    /// The build as it was when it was claimed.
    pub build: Build,
    /// Number of this attempt, from 1.
    pub attempt: i64,
}

impl Claim {
    /// Returns the build's id.
    pub fn id(&self) -> &BuildId {
        &self.build.id
    }
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
    /// Its targets are known: each becomes a build of its own, and this one ends with them.
    Expanded(Vec<BakedTarget>),
    /// It was cancelled.
    Cancelled,
    /// It took longer than it may.
    TimedOut(Reason),
    /// Nothing was to be built: `path_unchanged` and why.
    Skipped(Reason),
    /// The worker was asked to end: goes back to the queue, and the attempt does not count.
    GivenBack,
}
