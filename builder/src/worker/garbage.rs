//! The store of the worker's machine: whole after a start, and without what nobody needs any more.

use super::Settings;
use crate::Services;
use registry_client::Digest;
use std::collections::HashSet;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Blobs that were written this long before a start are read: a crash may have cut them short.
pub const RECENT: Duration = Duration::from_secs(10 * 60);
/// Younger blobs stay: whoever stored them may be about to refer to them.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);
/// Layers of the cache that nobody made or looked for by content for so long may go.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Puts aside what a crash damaged: it is got or made again when somebody needs it.
pub fn recover(services: &Services) {
    match services.store.recover(RECENT) {
        Ok(0) => {}
        Ok(damaged) => tracing::warn!(damaged, "blobs that were damaged are put aside"),
        Err(error) => tracing::warn!(error = &error as &dyn Error, "the store cannot be checked"),
    }
}

/// How long what can be made or fetched again is kept that nobody uses.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Unpacked layers, and what steps keep in caches.
    snapshots: Duration,
    /// Mirrors of repositories.
    mirrors: Duration,
}

/// As long as the disk has room.
pub const USUAL: Patience = Patience { snapshots: Duration::from_secs(7 * 24 * 3600), mirrors: KEPT };

impl Patience {
    /// Once it has none. What a build uses was looked up after the build began, so what is older than any may go.
    pub fn pressed(settings: &Settings) -> Patience {
        let longest = settings.build_timeout + Duration::from_secs(600);
        Patience { snapshots: longest.max(Duration::from_secs(3600)), mirrors: Duration::from_secs(24 * 3600) }
    }
}

/// Removes what nobody needs: blobs, unpacked layers, caches and mirrors.
pub fn collect(services: &Services, settings: &Settings, patience: Patience) {
    blobs(services);
    // What is still used of them is found out again.
    for kind in [crate::execute::SELECTIONS, crate::served::SERVED, crate::served::UNPACKED] {
        if let Err(error) = services.store.forget_notes(kind, KEPT) {
            tracing::warn!(error = &error as &dyn Error, "old notes cannot be removed");
        }
    }
    match runtime::collect(&services.sandbox, patience.snapshots) {
        Ok(0) => {}
        Ok(snapshots) => tracing::info!(snapshots, "unpacked layers that nobody used were removed"),
        Err(error) => tracing::warn!(error = &error as &dyn Error, "unpacked layers cannot be removed"),
    }
    match crate::source::remove_unused(&settings.git_dir, patience.mirrors) {
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
