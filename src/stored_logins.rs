//! Tokens that `slipway sign-in` got, by the URL of the server, in a file that only its owner reads.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Permissions of group and others.
const OTHERS: u32 = 0o077;

/// Returns the token for a server, if somebody is signed in there.
pub(crate) fn token(server: &str) -> Result<Option<String>, String> {
    match file() {
        Some(file) => Ok(read(&file)?.remove(&named(server))),
        None => Ok(None),
    }
}

/// Stores the token for a server, or forgets it; returns the file.
pub(crate) fn put(server: &str, token: Option<&str>) -> Result<PathBuf, String> {
    let file = file().ok_or("there is nowhere to keep a token: HOME and XDG_CONFIG_HOME are both unset")?;
    let mut logins = read(&file)?;
    match token {
        Some(token) => drop(logins.insert(named(server), token.to_owned())),
        None => drop(logins.remove(&named(server))),
    }
    write(&file, &logins)?;
    Ok(file)
}

/// Returns a URL as it stands in the file.
fn named(server: &str) -> String {
    server.trim_end_matches('/').to_owned()
}

fn file() -> Option<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = directory("XDG_CONFIG_HOME").or_else(|| directory("HOME").map(|home| home.join(".config")))?;
    Some(base.join("slipway/logins.json"))
}

fn read(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("reading the logins `{}`: {error}", file.display());
    let metadata = match fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        found => found.map_err(|error| failed(&error))?,
    };
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(failed(&"others may read it: `chmod 600` it, and sign in again if somebody did"));
    }
    let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&error))
}

fn write(file: &Path, logins: &BTreeMap<String, String>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("writing the logins `{}`: {error}", file.display());
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    fs::create_dir_all(file.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    let text = serde_json::to_vec_pretty(logins).unwrap_or_default();
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let written = written.and_then(|mut opened| opened.write_all(&text)).and_then(|()| fs::rename(&temporary, file));
    written.map_err(failed)
}
