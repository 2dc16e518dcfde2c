//! Eviction: what was not used for longest goes when a mirror has more than it may.

use crate::lease::{TURN, Turn, leased};
use crate::{Error, Store};
use registry_client::{Algorithm, Digest};
use std::fs;
use std::time::{Duration, SystemTime};

/// The part of the limit that is left, in percent, so that not every download has to make room.
const LEFT: u64 = 90;
/// A blob that was used so lately may be about to be opened.
const RECENT: Duration = Duration::from_secs(10);

struct Blob {
    digest: Digest,
    size: u64,
    used: SystemTime,
}

/// Removes blobs until less than the limit is left; what a lease names, or was used a moment ago, stays. Readers of a
/// blob have its file open, and read it to its end. Returns how many went.
pub(crate) fn evict(store: &Store, limit: u64) -> Result<usize, Error> {
    let total = |blobs: &[Blob]| blobs.iter().map(|blob| blob.size).sum::<u64>();
    if total(&blobs(store)?) <= limit {
        return Ok(0);
    }
    let _turn = Turn::alone(&store.root().join(TURN))?;
    let mut known = blobs(store)?;
    let (mut left, spared) = (total(&known), leased(store.root())?);
    known.sort_by_key(|blob| blob.used);
    let (target, mut evicted) = (limit / 100 * LEFT, 0);
    for blob in known {
        if left <= target || blob.used.elapsed().map_or(true, |age| age < RECENT) {
            break;
        }
        if !spared.contains(&blob.digest) {
            let path = store.path(&blob.digest);
            fs::remove_file(&path).map_err(Error::file("removing", &path))?;
            (left, evicted) = (left - blob.size, evicted + 1);
        }
    }
    Ok(evicted)
}

fn blobs(store: &Store) -> Result<Vec<Blob>, Error> {
    let mut blobs = Vec::new();
    for algorithm in Algorithm::ALL {
        let directory = store.blobs(algorithm);
        for entry in fs::read_dir(&directory).map_err(Error::file("reading", &directory))?.flatten() {
            // One that goes meanwhile takes no room.
            let Ok(known) = entry.metadata() else { continue };
            let hex = entry.file_name().to_string_lossy().into_owned();
            let Some(digest) = Digest::from_hex(&hex) else { continue };
            blobs.push(Blob { digest, size: known.len(), used: known.modified().unwrap_or(SystemTime::UNIX_EPOCH) });
        }
    }
    Ok(blobs)
}
