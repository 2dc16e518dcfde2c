//! The data directory: found, created, and closed to other accounts.

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Files and directories that slipway creates in the data directory.
const PARTS: [&str; 6] = ["slipway.db", "slipway.db-wal", "images", "git", "sandbox", "secret.key"];

/// Mode of a directory that only its owner uses; the bits of everybody else; and the one of a directory that all share.
const OWNERS_DIRECTORY: u32 = 0o700;
const OTHERS: u32 = 0o077;
const STICKY: u32 = 0o1000;

/// The data directory: where everything is that outlives a process.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Returns the directory that was asked for, or the default one; creates it.
    pub(crate) fn open(asked: Option<PathBuf>) -> Result<DataDir, String> {
        let path =
            asked.or_else(default_data_dir).ok_or("no data directory: set --data-dir, SLIPWAY_DATA_DIR or HOME")?;
        let path = std::path::absolute(&path).map_err(|error| format!("finding `{}`: {error}", path.display()))?;
        // Other accounts of this machine read neither sources nor logs.
        DirBuilder::new().recursive(true).mode(OWNERS_DIRECTORY).create(&path).map_err(|error| {
            format!("creating the data directory `{}`: {error}; choose another with --data-dir", path.display())
        })?;
        check_access(&path)?;
        tighten(&path);
        Ok(DataDir(path))
    }

    /// Returns the directory that is meant if it is there; makes nothing.
    pub(crate) fn existing(asked: Option<PathBuf>) -> Option<PathBuf> {
        asked.or_else(default_data_dir).filter(|path| path.is_dir())
    }

    /// Returns the path of `name` in the directory.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the URL of the database when no other is configured.
    pub(crate) fn database_url(&self) -> String {
        format!("sqlite://{}", self.join("slipway.db").display())
    }
}

/// Takes away what others may do with the data directory and what lies in it: it may have been made before slipway did so, or
/// by somebody else. Deeper files lie behind directories that nobody else enters.
fn tighten(path: &Path) {
    let parts = PARTS.iter().chain(&["slipway.db-shm"]).map(|part| path.join(part));
    for path in std::iter::once(path.to_owned()).chain(parts) {
        let Ok(known) = std::fs::symlink_metadata(&path) else { continue };
        let mode = known.permissions().mode();
        // A directory such as /tmp is shared by intent.
        let is_shared = mode & STICKY != 0;
        if known.is_symlink() || is_shared || mode & OTHERS == 0 {
            continue;
        }
        let path_shown = path.display();
        match std::fs::set_permissions(&path, Permissions::from_mode(mode & !OTHERS & 0o7777)) {
            Ok(()) => tracing::warn!(path = %path_shown, "other accounts could read this; permissions were tightened"),
            Err(error) => {
                tracing::warn!(path = %path_shown, %error, "other accounts can read this, and it cannot be changed")
            }
        }
    }
}

fn default_data_dir() -> Option<PathBuf> {
    // Root is recognised by being able to own the system's directory, without asking for ids.
    let root = std::env::var_os("HOME").is_some_and(|home| home == "/root") || is_root();
    if root {
        return Some(PathBuf::from("/var/lib/slipway"));
    }
    xdg_directory("XDG_DATA_HOME", ".local/share").map(|base| base.join("slipway"))
}

/// Returns the directory that a variable of the XDG specification names, or its default below the home directory. A path
/// that is not absolute counts as none, as the specification says.
pub(crate) fn xdg_directory(variable: &str, default: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(default)))
}

fn is_root() -> bool {
    own_uid() == Some(0)
}

fn own_uid() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Fails if this process cannot have files in the directory, and says what would be right.
fn check_access(path: &Path) -> Result<(), String> {
    let using = format!("using the data directory `{}`", path.display());
    let tried = std::fs::read_dir(path).and_then(|_| tempfile::tempfile_in(path)).map(drop);
    if let Err(error) = tried {
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => foreign_owner(path)
                .unwrap_or_else(|| "its owner may not read it or write to it: `chmod u+rwx` it".to_owned()),
            ErrorKind::ReadOnlyFilesystem => "mount its file system writable".to_owned(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its disk".to_owned(),
            _ => "its file system does not work".to_owned(),
        };
        return Err(format!("{using}: {error}; {remedy}, or choose another with --data-dir"));
    }
    match PARTS.iter().find_map(|part| Some((part, foreign_owner(&path.join(part))?))) {
        Some((part, owner)) => Err(format!("{using}: permission denied to `{part}`; {owner}")),
        None => Ok(()),
    }
}

/// Describes the owner of a file if it is another account; root may use every file.
fn foreign_owner(path: &Path) -> Option<String> {
    let (owner, own) = (std::fs::metadata(path).ok()?.uid(), own_uid()?);
    (own != 0 && owner != own).then(|| {
        format!(
            "it belongs to the account {owner} and slipway runs as {own}: start it as {owner}, or give it all away with `chown -R {own}`"
        )
    })
}
