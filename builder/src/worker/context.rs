//! The surroundings of a worker's tasks.

use super::settings::Settings;
use crate::Services;
use runtime::CancellationToken;
use std::time::Duration;

/// The services and the settings that a task works with.
#[derive(Clone, Copy)]
pub(crate) struct TaskContext<'a> {
    /// The services; those of a build read no more than the build may.
    pub services: &'a Services,
    /// The worker's settings.
    pub settings: &'a Settings,
}

/// How long a task may take, and what ends it before.
#[derive(Clone, Copy)]
pub(crate) struct Deadline<'a> {
    /// Ends it.
    pub cancel: &'a CancellationToken,
    /// Time from now.
    pub limit: Duration,
}
