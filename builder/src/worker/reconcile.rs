//! Reconciles the database with the outside: refs of repositories, published tags and base images, one after the other to spare
//! git servers and registries.

use super::context::TaskContext;
use super::settings::Settings;
use super::{base_image, ref_poll, tag_check};
use crate::Services;
use runtime::CancellationToken;
use std::time::Duration;

/// How long to wait when nothing is due.
const PAUSE: Duration = Duration::from_secs(1);

/// Reconciles what is due until the worker `ends`.
pub(crate) fn keep(services: &Services, settings: &Settings, ends: &CancellationToken) {
    while !ends.is_cancelled() {
        let done = ref_poll::next(TaskContext { services, settings }, ends)
            .and_then(|look| Ok(look | tag_check::next(services, ends)? | base_image::next(services, ends)?));
        if let Err(error) = &done {
            tracing::warn!(error = error as &dyn std::error::Error, "cannot read what is due for reconciliation");
        }
        if !matches!(done, Ok(true)) {
            ends.wait_timeout(PAUSE);
        }
    }
}
