//! What commands on images and containers share: the store, the client, the way failures are told.

mod format;
mod layers;
mod table;

pub use format::{Format, ago, bytes, short_time};
pub use layers::StoreLayers;
pub use table::Table;

use crate::services::{DataDir, Registries, chain};
use container::{Containers, Error, ImageUser, Removal};
use image_store::Store;
use registry_client::{Client, Digest, Home};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The data directory and its store, opened for a command.
pub struct Hand {
    /// The data directory.
    pub data: DataDir,
    /// The content store.
    pub store: Store,
}

impl Hand {
    /// Opens the data directory.
    pub fn open(data_dir: Option<PathBuf>) -> Result<Hand, Failure> {
        let data = DataDir::open(data_dir)?;
        let store = Store::open(&data.join("images")).map_err(Error::from)?;
        Ok(Hand { data, store })
    }

    /// Returns a client that talks to registries as docker does, and as `registries` say.
    pub fn client(&self, registries: Registries) -> Result<Client, Failure> {
        let proving = self.store.clone();
        let proof = Arc::new(move |repository: &str, digest: &Digest| proving.proof(repository, digest));
        let home = Some(Home { id: self.store.id(), port: registries.own_port, proof });
        let Registries { credentials, hosts, .. } = registries;
        let settings = registry_client::Settings { credentials, hosts, home, ..registry_client::Settings::default() };
        Ok(Client::new(settings).map_err(Error::from)?)
    }

    /// Returns the containers.
    pub fn containers(&self) -> Result<Containers, Failure> {
        Ok(Containers::open(self.data.path())?)
    }

    /// Returns how containers are confined: as the steps of builds by hand.
    pub fn sandbox(&self) -> Result<runtime::Settings, Failure> {
        let mut settings = runtime::Settings::new(self.data.path()).map_err(Error::from)?;
        settings.network.private = true;
        Ok(settings)
    }

    /// Returns what the removal of images has to spare.
    pub fn removal(&self, force: bool) -> Result<Removal, Failure> {
        Ok(Removal { force, users: self.users()?, keep: self.cached_blobs()? })
    }

    /// Returns the bytes of all blobs in the store.
    pub fn stored(&self) -> Result<u64, Failure> {
        Ok(self.store.stored_bytes().map_err(Error::from)?)
    }

    /// Returns the containers that use images.
    pub fn users(&self) -> Result<Vec<ImageUser>, Failure> {
        let containers = self.containers()?.list()?;
        let user = |known: container::Container| ImageUser {
            is_running: known.is_running(),
            container: known.record.id,
            image: known.record.image,
        };
        Ok(containers.into_iter().map(user).collect())
    }

    /// Returns the blobs that the cache of builds refers to.
    fn cached_blobs(&self) -> Result<HashSet<Digest>, Failure> {
        if !self.data.join("slipway.db").exists() {
            return Ok(HashSet::new());
        }
        let blobs = runtime()?.block_on(async {
            let database = database::Database::open(&self.data.database_url()).await?;
            database.cached_blobs(0).await
        });
        let blobs = blobs.map_err(|error| Failure::from(chain(&error)))?;
        Ok(blobs.iter().filter_map(|digest| digest.parse().ok()).collect())
    }
}

/// Returns what runs the asynchronous parts of a command.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::from(format!("starting tokio: {error}")))
}

/// Why a command failed, as docker would say it, and its exit code.
#[derive(Debug)]
pub struct Failure {
    /// The text, without a line end.
    pub text: String,
    /// The exit code.
    pub code: u8,
    /// Whether an image or container is not there.
    pub is_missing: bool,
}

impl Failure {
    /// Prints the failure and returns its exit code.
    pub fn tell(&self) -> ExitCode {
        eprintln!("{}", crate::sanitize::sanitize(&database::redact(&self.text)));
        ExitCode::from(self.code)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure { text, code: 1, is_missing: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let (text, is_missing) = (chain(&error), matches!(error, Error::NotFound(_)));
        // What the command line itself says wrongly, docker's client tells without its daemon.
        let is_own = ["template parsing error", "invalid argument"].iter().any(|start| text.starts_with(start));
        let text = if is_own { text } else { format!("Error response from daemon: {text}") };
        Failure { text, code: 1, is_missing }
    }
}

/// Runs a command and tells its failure.
pub fn told(command: impl FnOnce() -> Result<ExitCode, Failure>) -> Result<ExitCode, String> {
    Ok(command().unwrap_or_else(|failure| failure.tell()))
}

/// Runs something for each of `names`; all are tried, and the failures are told.
pub fn each(names: &[String], mut one: impl FnMut(&str) -> Result<(), Failure>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for name in names {
        if let Err(failure) = one(name) {
            code = failure.tell();
        }
    }
    code
}

/// Asks a question that is answered with `y` or `n`; without a terminal the answer is no.
pub fn confirmed(question: &str) -> bool {
    use std::io::Write;
    print!("{question}\nAre you sure you want to continue? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y")
}

/// Returns the seconds since 1970.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
