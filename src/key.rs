//! The key that seals the secrets in the database: made once, kept in a file that only slipway's user can read.

use crate::services::DataDir;
use database::SecretKey;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Reads the key from `asked`, or from `secret.key` in the data directory, where it is made if it is missing.
pub fn read(asked: Option<&Path>, data: &DataDir) -> Result<SecretKey, String> {
    let path = asked.map_or_else(|| data.join("secret.key"), Path::to_owned);
    if asked.is_none() && !path.exists() {
        make(&path, data)?;
    }
    let failed = |problem: String| format!("reading the key of the secrets, `{}`: {problem}", path.display());
    let known = fs::metadata(&path).map_err(|error| failed(error.to_string()))?;
    if known.permissions().mode() & 0o077 != 0 {
        return Err(failed("others can read it too; `chmod 600` it, and think about who read it so far".to_owned()));
    }
    let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    parse(text.trim())
        .map(SecretKey::new)
        .ok_or_else(|| failed("64 hexadecimal digits are expected: `openssl rand -hex 32` makes good ones".to_owned()))
}

/// Makes a key; another process may do the same at the same time: the first one counts.
fn make(path: &Path, data: &DataDir) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("writing the key of the secrets, `{}`: {error}", path.display());
    let key = SecretKey::generate().ok_or("making a key for the secrets: the system gives no random numbers")?;
    let digits: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let temporary = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(failed)?;
    file.write_all(digits.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary).map_err(failed)?;
    // Secrets that were sealed with a key that is lost are lost.
    fs::File::open(data.path()).and_then(|directory| directory.sync_all()).map_err(failed)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

fn parse(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        // SEC-08
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(directory.path().to_owned())).unwrap();
        let first = read(None, &data).unwrap();
        assert_eq!(read(None, &data).unwrap().as_bytes(), first.as_bytes());
        let path = directory.path().join("secret.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(None, &data).unwrap_err().contains("chmod 600"));
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(Some(directory.path().to_owned())).unwrap();
        let path = directory.path().join("k");
        fs::write(&path, "short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read(Some(&path), &data).unwrap_err().contains("64 hexadecimal digits"));
    }
}
