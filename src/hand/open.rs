//! The data directory and its store, opened for a command on images and containers.

use super::Failure;
use crate::state::{DataDir, Registries};
use container::{Containers, Error, ImageUser, Removal};
use image_store::Store;
use registry_client::{Client, Digest, Home, report};
use runtime::Sandbox;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The data directory and its store, opened for a command.
pub(crate) struct Hand {
    /// The data directory.
    pub data: DataDir,
    /// The content store.
    pub store: Store,
}

impl Hand {
    /// Opens the data directory.
    pub(crate) fn open(data_dir: Option<PathBuf>) -> Result<Hand, Failure> {
        let data = DataDir::open(data_dir)?;
        let store = Store::open(&data.join("images")).map_err(Error::from)?;
        Ok(Hand { data, store })
    }

    /// Returns a client that talks to registries as docker does, and as `registries` say.
    pub(crate) fn client(&self, registries: Registries) -> Result<Client, Failure> {
        let proving = self.store.clone();
        let proof = Arc::new(move |repository: &str, digest: &Digest| proving.proof(repository, digest));
        let home = Some(Home { id: self.store.id(), port: registries.own_port, proof });
        let Registries { credentials, hosts, .. } = registries;
        let settings = registry_client::Settings { credentials, hosts, home, ..registry_client::Settings::default() };
        let client = Client::new(settings).map_err(Error::from)?;
        Ok(crate::state::mirrors::through(client, crate::state::mirrors::by_hand(&self.data)))
    }

    /// Returns the containers.
    pub(crate) fn containers(&self) -> Result<Containers, Failure> {
        Ok(Containers::open(self.data.path())?)
    }

    /// Returns how containers are confined: as the steps of builds by hand.
    pub(crate) fn sandbox(&self) -> Result<runtime::Settings, Failure> {
        let mut settings = runtime::Settings::new(self.data.path()).map_err(Error::from)?;
        settings.network.private = true;
        Ok(settings)
    }

    /// Starts a sandbox for a command that is not a container.
    pub(crate) fn sandbox_for(&self, command: &str) -> Result<Sandbox, Failure> {
        Ok(Sandbox::start(&self.sandbox()?, &format!("{command}-{}", std::process::id())).map_err(Error::from)?)
    }

    /// Returns what the removal of images has to spare.
    pub(crate) fn removal(&self, force: bool) -> Result<Removal, Failure> {
        Ok(Removal { force, users: self.users()?, keep: self.cached_blobs()? })
    }

    /// Returns the bytes of all blobs in the store.
    pub(crate) fn stored(&self) -> Result<u64, Failure> {
        Ok(self.store.stored_bytes().map_err(Error::from)?)
    }

    /// Returns the containers that use images.
    pub(crate) fn users(&self) -> Result<Vec<ImageUser>, Failure> {
        let containers = self.containers()?.list()?;
        let user = |known: container::Container| ImageUser {
            is_running: known.is_running(),
            container: known.record.id,
            image: known.record.image,
        };
        Ok(containers.into_iter().map(user).collect())
    }

    /// Returns the blobs that the cache of builds refers to.
    pub(crate) fn cached_blobs(&self) -> Result<HashSet<Digest>, Failure> {
        if !self.data.join("slipway.db").exists() {
            return Ok(HashSet::new());
        }
        let blobs = runtime()?.block_on(async {
            let database = database::Database::open(&self.data.database_url()).await?;
            database.cached_blobs(0).await
        });
        let blobs = blobs.map_err(|error| Failure::from(report(&error)))?;
        Ok(blobs.iter().filter_map(|digest| digest.parse().ok()).collect())
    }
}

/// Returns what runs the asynchronous parts of a command.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::from(format!("starting tokio: {error}")))
}
