//! The instance lock: allows one server per data directory, and names the process that holds it.

use super::data_dir::DataDir;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// The file that is locked; it holds the process id of the server.
const FILE: &str = "serve.lock";
/// How long the first server may take between its lock and its id.
const WRITE_TIMEOUT: Duration = Duration::from_millis(200);

/// The lock of a server, until it is dropped or the process ends, however that happens.
#[derive(Debug)]
pub(crate) struct InstanceLock(#[expect(dead_code, reason = "the lock ends with the file")] Option<File>);

impl InstanceLock {
    /// Locks the data directory for this process.
    pub(crate) fn lock(data: &DataDir) -> Result<InstanceLock, String> {
        let path = data.join(FILE);
        let failed = |error: std::io::Error| format!("writing `{}`: {error}", path.display());
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refusal(data, holder(&mut file).as_deref())),
            Err(TryLockError::Error(error)) => {
                // Some network file systems have no locks; the server starts all the same.
                tracing::warn!(%error, file = %path.display(), "the file system has no locks: a second server would not be noticed");
                return Ok(InstanceLock(None));
            }
        }
        let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(%error, file = %path.display(), "the process id cannot be written: a second server would not be told it");
        }
        Ok(InstanceLock(Some(file)))
    }
}

/// Returns the process id of the server that has the lock, once it has written it.
fn holder(file: &mut File) -> Option<String> {
    for _ in 0..2 {
        let mut text = String::new();
        if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_ok() && !text.is_empty() {
            return Some(text);
        }
        std::thread::sleep(WRITE_TIMEOUT);
    }
    None
}

fn refusal(data: &DataDir, holder: Option<&str>) -> String {
    let process = holder.map_or_else(String::new, |id| format!(", process {id}"));
    format!(
        "another `slipway serve`{process}, uses the data directory `{}`: end it first, or choose another directory with --data-dir",
        data.path().display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_refused_with_the_process_id_of_the_first() {
        // SEC-m3
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(directory.path().to_owned())).unwrap();
        std::fs::write(directory.path().join(FILE), "123456789012").unwrap();
        let first = InstanceLock::lock(&data).unwrap();
        let refused = InstanceLock::lock(&data).unwrap_err();
        assert!(refused.contains(&format!("process {},", std::process::id())), "{refused}");
        drop(first);
        InstanceLock::lock(&data).unwrap();
    }
}
