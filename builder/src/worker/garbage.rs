//! Garbage collection of the worker's store, and its recovery after a start.

use super::settings::Settings;
use crate::Services;
use crate::execute::SELECTIONS;
use registry_client::Digest;
use std::collections::HashSet;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Blobs that were written this long before a start are read: a crash may have cut them short.
pub const RECENT: Duration = Duration::from_secs(10 * 60);
/// Age below which blobs stay: a build may be about to refer to them.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);
/// Layers of the cache that nobody made or looked for by content for so long may go.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Puts aside what a crash damaged: it is got or made again when somebody needs it.
pub(crate) fn recover(services: &Services) {
    match services.store.recover(RECENT) {
        Ok(0) => {}
        Ok(damaged) => tracing::warn!(damaged, "blobs that were damaged are put aside"),
        Err(error) => tracing::warn!(error = &error as &dyn Error, "the store cannot be checked"),
    }
}

/// How long what can be made or fetched again is kept that nobody uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Unpacked layers, and what steps keep in caches.
    snapshots: Duration,
    /// Mirrors of repositories.
    mirrors: Duration,
}

/// As long as the disk has room.
pub(crate) const DEFAULT_RETENTION: Retention =
    Retention { snapshots: Duration::from_secs(7 * 24 * 3600), mirrors: KEPT };

impl Retention {
    /// Once it has none. A build looks up whatever it uses after it began, so anything older than every build may go.
    pub(crate) fn pressed(settings: &Settings) -> Retention {
        let longest = settings.build_timeout + Duration::from_secs(600);
        Retention { snapshots: longest.max(Duration::from_secs(3600)), mirrors: Duration::from_secs(24 * 3600) }
    }
}

/// Removes what nobody needs: blobs, unpacked layers, caches and mirrors.
pub(crate) fn collect(services: &Services, settings: &Settings, retention: Retention) {
    blobs(services);
    // Notes that are still needed are made again.
    for kind in [SELECTIONS, image_store::SERVED, image_store::UNPACKED] {
        if let Err(error) = services.store.forget_notes(kind, KEPT) {
            tracing::warn!(error = &error as &dyn Error, "old notes cannot be removed");
        }
    }
    match runtime::collect(&services.sandbox, retention.snapshots) {
        Ok(0) => {}
        Ok(snapshots) => tracing::info!(snapshots, "unpacked layers that nobody used were removed"),
        Err(error) => tracing::warn!(error = &error as &dyn Error, "unpacked layers cannot be removed"),
    }
    if let Err(error) = crate::git::remove_unused_contents(&settings.git_dir.join("lfs"), retention.mirrors) {
        tracing::warn!(error = &error as &dyn std::error::Error, "files of Git LFS cannot be removed");
    }
    match crate::git::remove_unused(&settings.git_dir, retention.mirrors) {
        Ok(0) => {}
        Ok(mirrors) => tracing::info!(mirrors, "mirrors of repositories that nobody used were removed"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(error = &error as &dyn Error, "mirrors of repositories cannot be removed"),
    }
}

/// Removes blobs that no tag, no living build and no recent entry of the cache leads to.
fn blobs(services: &Services) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = i64::try_from(now.saturating_sub(KEPT).as_millis()).unwrap_or(0);
    let kept = match services.tokio.block_on(services.database.cached_blobs(since)) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "the cache cannot be read: nothing is collected");
            return;
        }
    };
    let kept: HashSet<Digest> = kept.iter().filter_map(|digest| digest.parse().ok()).collect();
    match services.store.collect(&kept, MIN_AGE) {
        Ok(collected) if collected.blobs > 0 => {
            let (blobs, size_bytes) = (collected.blobs, collected.bytes);
            tracing::info!(blobs, size_bytes, "blobs that nobody needs were removed");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(error = &error as &dyn Error, "the store cannot be cleaned"),
    }
}
