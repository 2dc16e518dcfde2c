//! The secret key of a store.

use crate::Error;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// File of the key.
pub(crate) const KEY: &str = "store.key";
/// Bytes of the key.
const LENGTH: usize = 32;

/// The key of a store; it is nowhere shown.
#[derive(Clone)]
pub(crate) struct Key([u8; LENGTH]);

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key")
    }
}

impl Key {
    /// Reads the key of the store in `root`; makes one if there is none.
    pub(crate) fn open(root: &Path) -> Result<Key, Error> {
        let path = root.join(KEY);
        for _ in 0..2 {
            match fs::read(&path) {
                Ok(bytes) => {
                    // A power loss may have cut it short: then it is good for nothing, and nothing depends on it.
                    if let Ok(key) = bytes.try_into() {
                        return Ok(Key(key));
                    }
                    let _ = fs::remove_file(&path);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Error::file("reading", &path)(error)),
            }
            make(root, &path)?;
        }
        Err(Error::Damaged(KEY.to_owned()))
    }

    pub(crate) fn sign(&self, texts: [&str; 3]) -> String {
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0) else { return String::new() };
        for text in texts {
            mac.update(text.as_bytes());
            mac.update(b"\0");
        }
        hex::encode(mac.finalize().into_bytes())
    }
}

fn make(root: &Path, path: &Path) -> Result<(), Error> {
    let mut key = [0; LENGTH];
    let random = Path::new("/dev/urandom");
    File::open(random).and_then(|mut file| file.read_exact(&mut key)).map_err(Error::file("reading", random))?;
    let temporary = root.join("tmp");
    let mut file =
        tempfile::NamedTempFile::new_in(&temporary).map_err(Error::file("creating a file in", &temporary))?;
    file.write_all(&key).and_then(|()| file.as_file().sync_data()).map_err(Error::file("writing", path))?;
    match file.persist_noclobber(path) {
        // Another process was faster.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop).map_err(|error| Error::file("renaming to", path)(error.error)),
    }
}
