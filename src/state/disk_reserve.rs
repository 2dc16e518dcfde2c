//! Disk reserve: keeps space for the database on its disk, and reports when only that is left.

use database::Database;
use registry_client::report;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch::Receiver;
use webhook::Readiness;

/// How long to wait after the start: what a start needs goes first.
const FIRST_CHECK: Duration = Duration::from_secs(1);
/// How often to look how much room there is.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How long to wait before room is set aside once more: others may write so much that the log does not become larger.
const FILL_INTERVAL: Duration = Duration::from_secs(300);
/// The room set aside on a large disk, in the file and again in its log.
const MAX_RESERVE: u64 = 8 * 1024 * 1024;
/// Less is of no use: nothing is set aside on a disk that would give no more.
const MIN_RESERVE: u64 = 1024 * 1024;
/// The share of a disk that is set aside at most.
const SHARE: u64 = 64;

/// Keeps the room until `stopped` says so. A database on another machine needs none.
pub(crate) async fn keep(database: Database, readiness: Arc<Readiness>, mut stopped: Receiver<bool>) {
    let Some(directory) = database.file().and_then(Path::parent).map(Path::to_owned) else { return };
    let (mut pause, mut was_low, mut filled) = (FIRST_CHECK, false, None::<Instant>);
    while tokio::time::timeout(pause, stopped.wait_for(|stopped| *stopped)).await.is_err() {
        pause = CHECK_INTERVAL;
        let Ok(space) = runtime::disk_space(&directory) else { continue };
        let Some(bytes) = reserve_of(space.total) else { return };
        let is_low = space.available < bytes;
        if is_low && !was_low {
            let available = space.available;
            tracing::warn!(
                available,
                reserve = bytes,
                "the disk of the database is full; deliveries are stored in the reserve"
            );
        } else if was_low && !is_low {
            tracing::info!(available = space.available, "the disk of the database has room again");
        }
        was_low = is_low;
        readiness.disk_is_low(is_low);
        // The last free space is left to the operator who cleans up.
        let is_early = filled.is_some_and(|at| at.elapsed() < FILL_INTERVAL);
        if space.available < bytes * 4 || is_early {
            continue;
        }
        match database.keep_reserve(bytes).await {
            Ok(true) => {
                filled = Some(Instant::now());
                tracing::debug!(bytes, "disk reserve of the database was filled");
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(error = report(&error), "cannot fill the disk reserve of the database"),
        }
    }
}

/// Returns how much is set aside on a disk of this size.
fn reserve_of(total: u64) -> Option<u64> {
    let bytes = (total / SHARE).min(MAX_RESERVE);
    (bytes >= MIN_RESERVE).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::reserve_of;

    #[test]
    fn small_disks_give_little_and_tiny_ones_nothing() {
        // SEC-B2b
        let mib = 1024 * 1024;
        assert_eq!(reserve_of(10 * mib), None);
        assert_eq!(reserve_of(256 * mib), Some(4 * mib));
        assert_eq!(reserve_of(1 << 40), Some(8 * mib));
    }
}
