//! After the machine was started: what it may not have written to disk before it went down is made or fetched again.
//!
//! Blobs that something refers to are durable, and so is the database. Nobody waits for the rest, because all of it can be
//! had again; but a power loss leaves whole directories of it whose files are empty, and those must not be believed.

use crate::services::{DataDir, chain};
use image_store::Store;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Tells one start of the machine from the next.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// What was written this long before the last sign of life is doubted. Kernels write after half a minute; this allows for
/// a disk that was behind.
const DOUBTFUL: Duration = Duration::from_secs(60 * 60);

/// Removes what is doubtful, once after each start of the machine: nobody uses it before this returns.
pub fn recover(data: &DataDir, store: &Store, sandbox: &runtime::Settings) -> Result<(), String> {
    let Ok(boot) = fs::read_to_string(BOOT_ID) else { return Ok(()) };
    let note = data.join("boot");
    let is_known = || fs::read_to_string(&note).is_ok_and(|known| known == boot);
    if is_known() {
        return Ok(());
    }
    let failed = |error: io::Error| format!("writing `{}`: {error}", note.display());
    let lock = File::create(data.join("boot.lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if is_known() {
        return Ok(());
    }
    let blobs = store.recover(DOUBTFUL).map_err(|error| chain(&error))?;
    store.readmit().map_err(|error| chain(&error))?;
    let layers = runtime::forget_last(sandbox, DOUBTFUL).map_err(|error| chain(&error))?;
    let mirrors = forget_mirrors(&data.join("git"))?;
    if blobs + layers + mirrors > 0 {
        tracing::info!(blobs, layers, mirrors, "the machine was started: what it may have lost is not used");
    }
    fs::write(&note, boot).map_err(failed)
}

fn forget_mirrors(directory: &Path) -> Result<usize, String> {
    match builder::source::remove_last(directory, DOUBTFUL) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        removed => removed.map_err(|error| format!("removing mirrors from `{}`: {error}", directory.display())),
    }
}
