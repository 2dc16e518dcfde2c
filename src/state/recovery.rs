//! Recovery after a start of the machine: removes what a crash may have left unwritten, so that it is made again.
//!
//! Blobs that something refers to are durable, and so is the database. The rest is not synced, because all of it can be
//! made again; but a power loss leaves whole directories of it whose files are empty, and those must not be believed.

use super::data_dir::DataDir;
use image_store::Store;
use registry_client::report;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Tells one start of the machine from the next.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Data written this long before the last activity may not have reached the disk. Kernels write back after half a minute;
/// this allows for a disk that was behind.
const UNSYNCED_WINDOW: Duration = Duration::from_secs(60 * 60);

/// Removes data of the unsynced window, once after each start of the machine; must return before anything uses it.
pub(crate) fn recover(data: &DataDir, store: &Store, sandbox: &runtime::Settings) -> Result<(), String> {
    once_after_boot(data, "boot", || {
        let blobs = store.recover(UNSYNCED_WINDOW).map_err(|error| report(&error))?;
        store.readmit().map_err(|error| report(&error))?;
        let layers = runtime::evict_unsynced(sandbox, UNSYNCED_WINDOW).map_err(|error| report(&error))?;
        let mirrors = remove_mirrors(&data.join("git"))?;
        if blobs + layers + mirrors > 0 {
            tracing::info!(
                blobs,
                layers,
                mirrors,
                "machine was restarted; removed data that may not have reached the disk"
            );
        }
        Ok(())
    })
}

/// Notes again what the registry's tags lead to, once after each start of the machine: no worker may be here to do it.
pub(crate) fn recover_registry(data: &DataDir, store: &Store) -> Result<(), String> {
    once_after_boot(data, "boot.registry", || store.readmit().map_err(|error| report(&error)))
}

/// Does `work` once after each start of the machine; others who come meanwhile wait. `name` is that of the file with a note
/// of it.
fn once_after_boot(data: &DataDir, name: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let Ok(boot) = fs::read_to_string(BOOT_ID) else { return Ok(()) };
    let note = data.join(name);
    let is_known = || fs::read_to_string(&note).is_ok_and(|known| known == boot);
    if is_known() {
        return Ok(());
    }
    let failed = |error: io::Error| format!("writing `{}`: {error}", note.display());
    let lock = File::create(data.join(&format!("{name}.lock"))).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if is_known() {
        return Ok(());
    }
    work()?;
    fs::write(&note, boot).map_err(failed)
}

fn remove_mirrors(directory: &Path) -> Result<usize, String> {
    match builder::git::remove_last(directory, UNSYNCED_WINDOW) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        removed => removed.map_err(|error| format!("removing mirrors from `{}`: {error}", directory.display())),
    }
}
