//! Opens store, database and client of a data directory for the crates that work with them.

use super::data_dir::DataDir;
use super::recovery;
use builder::Services;
use database::Database;
use image_store::Store;
use registry_client::{Client, Credentials, Digest, Home, HostSettings, report};
use std::collections::HashMap;
use std::sync::Arc;

/// Settings of registries.
pub(crate) struct Registries {
    /// The logins to send.
    pub credentials: Credentials,
    /// Settings of single registries, by host.
    pub hosts: HashMap<String, HostSettings>,
    /// Port of the embedded registry on this machine, if it is known.
    pub own_port: Option<u16>,
}

/// Opens store, database and client; blocks on `tokio` where that is asynchronous.
pub(crate) fn open(
    data: &DataDir,
    database_url: &str,
    registries: Registries,
    tokio: &tokio::runtime::Handle,
) -> Result<Services, String> {
    let store = Store::open(&data.join("images")).map_err(|error| report(&error))?;
    let database = tokio.block_on(Database::open(database_url)).map_err(|error| report(&error))?;
    let (proving, Registries { credentials, hosts, own_port }) = (store.clone(), registries);
    let proof = Arc::new(move |repository: &str, digest: &Digest| proving.proof(repository, digest));
    let home = Some(Home { id: store.id(), port: own_port, proof });
    let settings = registry_client::Settings { credentials, hosts, home, ..registry_client::Settings::default() };
    let client = Client::new(settings).map_err(|error| report(&error))?;
    let sandbox = runtime::Settings::new(data.path()).map_err(|error| report(&error))?;
    recovery::recover(data, &store, &sandbox)?;
    Ok(Services { store, client, pusher: None, database, tokio: tokio.clone(), sandbox })
}
