//! The key that encrypts secrets at rest: created once, in a file that only slipway's account can read.

use super::data_dir::DataDir;
use database::{Database, KeyFit, SecretKey};
use registry_client::report;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Says how to go on without the key that the secrets were sealed with.
const RESTORE: &str = "restore the file from a backup. If it is lost, so are the values: remove them from the database \
     (`DELETE FROM secrets`), start slipway and set them again";

/// Gives a database the key that seals its secrets: from `asked`, or from `secret.key` in the data directory, where it is
/// made if it is missing and nothing was sealed yet. A key that opens nothing of what is sealed is refused.
pub(crate) async fn give(database: Database, asked: Option<&Path>, data: &DataDir) -> Result<Database, String> {
    let path = asked.map_or_else(|| data.join("secret.key"), Path::to_owned);
    if asked.is_none() && fs::symlink_metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        if database.has_secrets().await.map_err(|error| report(&error))? {
            return Err(format!("the key of the secrets, `{}`, is missing; {RESTORE}", path.display()));
        }
        make(&path, data)?;
    }
    let database = database.with_key(read(&path)?);
    match database.key_fit().await.map_err(|error| report(&error))? {
        KeyFit::All => {}
        KeyFit::Some { foreign } => {
            tracing::warn!(secrets = foreign.join(" "), key = %path.display(), "secrets were sealed with another key: set them again");
        }
        KeyFit::None => {
            let path = path.display();
            return Err(format!(
                "`{path}` is not the key that the secrets in the database were sealed with; {RESTORE}"
            ));
        }
    }
    Ok(database)
}

/// Reads the key from a file that nobody else can read.
fn read(path: &Path) -> Result<SecretKey, String> {
    let failed = |problem: String| format!("reading the key of the secrets, `{}`: {problem}", path.display());
    let known = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !known.is_file() {
        return Err(failed("a file is expected".to_owned()));
    }
    if known.permissions().mode() & 0o077 != 0 {
        return Err(failed("others can read it too; `chmod 600` it, and think about who read it so far".to_owned()));
    }
    let text = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let text = text.trim_ascii();
    std::str::from_utf8(text).ok().and_then(parse).map(SecretKey::new).ok_or_else(|| {
        failed(format!(
            "it holds {} bytes where 64 hexadecimal digits are expected: restore the file from a backup, or, while no secret \
             is stored, let `openssl rand -hex 32` make another",
            text.len()
        ))
    })
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

    async fn opened(directory: &Path) -> (DataDir, Database) {
        let data = DataDir::open(Some(directory.to_owned())).unwrap();
        let database = Database::open(&data.database_url()).await.unwrap();
        (data, database)
    }

    #[tokio::test]
    async fn a_key_is_made_once_and_kept_private() {
        // SEC-08
        let directory = tempfile::tempdir().unwrap();
        let (data, database) = opened(directory.path()).await;
        let path = directory.path().join("secret.key");
        give(database.clone(), None, &data).await.unwrap();
        let first = fs::read(&path).unwrap();
        give(database.clone(), None, &data).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(give(database, None, &data).await.unwrap_err().contains("chmod 600"));
    }

    #[tokio::test]
    async fn a_database_with_secrets_is_not_opened_without_their_key() {
        let directory = tempfile::tempdir().unwrap();
        let (data, database) = opened(directory.path()).await;
        let path = directory.path().join("secret.key");
        let keyed = give(database.clone(), None, &data).await.unwrap();
        keyed.put_secret("team/app", "npm", b"value").await.unwrap();
        let good = fs::read(&path).unwrap();
        let cases: [(&str, Option<&[u8]>, &str); 5] = [
            ("missing", None, "is missing; restore the file from a backup"),
            ("empty", Some(b""), "it holds 0 bytes"),
            ("too short", Some(&good[..63]), "it holds 63 bytes"),
            ("no text", Some(&[0xff; 64]), "64 hexadecimal digits are expected"),
            ("wrong", Some(&[b'0'; 64]), "is not the key that the secrets in the database were sealed with"),
        ];
        for (name, content, expected) in cases {
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            if content.is_some() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            }
            for asked in [None, Some(path.as_path())] {
                let refused = give(database.clone(), asked, &data).await.unwrap_err();
                let missing = name == "missing" && asked.is_some() && refused.contains("No such file");
                assert!(missing || refused.contains(expected), "{name}: {refused}");
                assert_eq!(fs::read(&path).ok().as_deref(), content, "{name}: nothing is made in its place");
            }
        }
        fs::write(&path, &good).unwrap();
        give(database, None, &data).await.unwrap();
    }
}
