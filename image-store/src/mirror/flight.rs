//! Flights: of all who want the same of a registry, in this process and in others, one asks and the others wait.

use crate::Error;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Hexadecimal digits of a file's name: what shares them waits for one another, too, and there are no more files than that.
const NAME: usize = 3;

type Local = Mutex<HashMap<String, Weak<AsyncMutex<()>>>>;

/// The turns to ask, in this process and in others.
#[derive(Debug)]
pub(crate) struct Flights {
    directory: PathBuf,
    local: Local,
}

/// The turn to ask, until it is dropped.
pub(crate) struct Flight {
    _file: File,
    _turn: OwnedMutexGuard<()>,
}

impl Flights {
    /// Opens the directory of the locks.
    pub(crate) fn open(directory: PathBuf) -> Result<Flights, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(Error::file("creating", &directory))?;
        Ok(Flights { directory, local: Mutex::default() })
    }

    /// Waits for the turn to ask for `key`.
    pub(crate) async fn begin(&self, key: &str) -> Result<Flight, Error> {
        let hash = hex::encode(Sha256::digest(key.as_bytes()));
        let name = hash[..NAME].to_owned();
        let turn = self.turn(&name).lock_owned().await;
        let path = self.directory.join(name);
        let locked = tokio::task::spawn_blocking(move || lock(&path)).await;
        let file = locked.map_err(|_| Error::Damaged("a lock of a mirror".to_owned()))??;
        Ok(Flight { _file: file, _turn: turn })
    }

    fn turn(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = local.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(AsyncMutex::new(()));
        local.insert(name.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

fn lock(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(Error::file("opening", path))?;
    file.lock().map_err(Error::file("locking", path))?;
    Ok(file)
}
