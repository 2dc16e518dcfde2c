//! Opens what lies in the data directory and hands it to the crates that work with it.

use builder::Services;
use database::Database;
use image_store::Store;
use registry_client::{Client, Credentials};
use std::error::Error;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The data directory: where everything is that outlives a process.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Returns the directory that was asked for, or the default one; creates it.
    pub fn open(asked: Option<PathBuf>) -> Result<DataDir, String> {
        let path =
            asked.or_else(default_data_dir).ok_or("no data directory: set --data-dir, SLIPWAY_DATA_DIR or HOME")?;
        let path = std::path::absolute(&path).map_err(|error| format!("finding `{}`: {error}", path.display()))?;
        std::fs::create_dir_all(&path).map_err(|error| {
            format!("creating the data directory `{}`: {error}; choose another with --data-dir", path.display())
        })?;
        Ok(DataDir(path))
    }

    /// Returns the path of `name` in the directory.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the URL of the database when no other is configured.
    pub fn database_url(&self) -> String {
        format!("sqlite://{}", self.join("slipway.db").display())
    }
}

fn default_data_dir() -> Option<PathBuf> {
    // Root is recognised by being able to own the system's directory, without asking for ids.
    let root = std::env::var_os("HOME").is_some_and(|home| home == "/root") || is_root();
    if root {
        return Some(PathBuf::from("/var/lib/slipway"));
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let base =
        std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| home.map(|home| home.join(".local/share")));
    base.map(|base| base.join("slipway"))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Opens store, database and client; blocks on `tokio` where that is asynchronous.
pub fn open(
    data: &DataDir,
    database_url: &str,
    credentials: Credentials,
    tokio: &tokio::runtime::Handle,
) -> Result<Services, String> {
    let store = Store::open(&data.join("images")).map_err(|error| chain(&error))?;
    let database = tokio.block_on(Database::open(database_url)).map_err(|error| chain(&error))?;
    let client = Client::new(registry_client::Settings { credentials, ..registry_client::Settings::default() })
        .map_err(|error| chain(&error))?;
    let sandbox = runtime::Settings::new(data.path()).map_err(|error| chain(&error))?;
    Ok(Services { store, client, database, tokio: tokio.clone(), sandbox })
}

/// Returns an error with all its causes on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Waits until the process is asked to end: Ctrl-C or a request to terminate.
pub async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Ends the build when the process is asked to end.
pub fn cancel_on_signal(tokio: &tokio::runtime::Handle, cancel: runtime::Cancel) {
    tokio.spawn(async move {
        wait_for_signal().await;
        cancel.cancel();
    });
}

/// Writes the log to standard error; `SLIPWAY_LOG` says how much of it.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SLIPWAY_LOG").unwrap_or_else(|_| "info".into());
    // Colours are for terminals: in a file or a journal they are noise.
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A line that nobody reads any more is no reason to end.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(coloured)
        .log_internal_errors(false)
        .init();
}
