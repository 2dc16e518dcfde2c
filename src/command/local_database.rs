//! Commands that work on the server's database itself, whether a server runs or not.

use crate::configuration;
use crate::state::DataDir;
use clap::Args;
use database::Database;
use registry_client::report;
use std::path::PathBuf;
use tokio::runtime::Builder;
use webhook::Configuration;

/// Arguments of all commands that work on the database.
#[derive(Debug, Args)]
pub(crate) struct LocalDatabase {
    /// The configuration [default: slipway.toml in the data directory, then in
    /// $XDG_CONFIG_HOME/slipway, then in /etc/slipway]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

impl LocalDatabase {
    /// Opens the database that the server uses, and does `work` with it.
    pub(crate) fn with<T>(
        &self,
        data_dir: Option<PathBuf>,
        work: impl AsyncFnOnce(&Configuration, &Database) -> Result<T, String>,
    ) -> Result<T, String> {
        let data = DataDir::open(data_dir)?;
        let configuration = configuration::read(self.config.as_deref(), &data)?;
        let url = configuration.server.database.clone().unwrap_or_else(|| data.database_url());
        let tokio = Builder::new_current_thread().enable_all().build();
        let tokio = tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?;
        tokio.block_on(async {
            let database = Database::open(&url).await.map_err(|error| report(&error))?;
            work(&configuration, &database).await
        })
    }
}
