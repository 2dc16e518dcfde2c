//! Reconciles the database with the outside: refs of repositories, published tags and base images, one after the other to spare
//! git servers and registries.

use super::context::TaskContext;
use super::settings::Settings;
use super::{base_image, pull_tag, ref_poll, tag_check};
use crate::Services;
use crate::execute::until_cancelled;
use database::BuildsWatch;
use runtime::CancellationToken;
use std::time::Duration;

/// How long to wait at least when nothing is due.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to wait at most: a worker elsewhere may have left something behind without a word.
const MAX_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Reconciles what is due until the worker `ends`.
pub(crate) fn keep(services: &Services, settings: &Settings, ends: &CancellationToken) {
    let mut changes = services.tokio.block_on(async { services.database.watch_builds() });
    while !ends.is_cancelled() {
        changes.has_changed();
        let done = ref_poll::next(TaskContext { services, settings }, ends).and_then(|look| {
            Ok(look
                | tag_check::next(services, ends)?
                | pull_tag::next(services, ends)?
                | base_image::next(services, ends)?)
        });
        if let Err(error) = &done {
            tracing::warn!(error = error as &dyn std::error::Error, "cannot read what is due for reconciliation");
        }
        if !matches!(done, Ok(true)) {
            ends.wait_timeout(PAUSE);
            wait(services, &mut changes, ends);
        }
    }
}

/// Waits until something is due, something changed or the worker `ends`.
fn wait(services: &Services, changes: &mut BuildsWatch, ends: &CancellationToken) {
    let Ok(due) = services.tokio.block_on(services.database.next_reconciliation()) else { return };
    let pause = due.unwrap_or(MAX_PAUSE).min(MAX_PAUSE);
    let _ = until_cancelled(&services.tokio, ends, async { tokio::time::timeout(pause, changes.changed()).await });
}
