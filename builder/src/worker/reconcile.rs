//! Compares what the service knows with what is: the refs of repositories, what tags show, and base images. One thing at a time, so
//! that neither git servers nor registries notice.

use super::{Settings, base_image, look, tag_check};
use crate::Services;
use runtime::CancellationToken;
use std::time::Duration;

/// How long to wait when nothing is due.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether the worker ends.
const LOOK: Duration = Duration::from_millis(100);

/// Does what is due until the worker `ends`.
pub fn keep(services: &Services, settings: &Settings, ends: &CancellationToken) {
    while !ends.is_cancelled() {
        let done = look::next((services, settings), ends)
            .and_then(|look| Ok(look | tag_check::next(services, ends)? | base_image::next(services, ends)?));
        if let Err(error) = &done {
            tracing::warn!(error = error as &dyn std::error::Error, "what is to be compared cannot be read");
        }
        let mut left = if matches!(done, Ok(true)) { Duration::ZERO } else { PAUSE };
        while !left.is_zero() && !ends.is_cancelled() {
            std::thread::sleep(LOOK.min(left));
            left = left.saturating_sub(LOOK);
        }
    }
}
