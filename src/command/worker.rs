//! `slipway worker`: claims builds from the queue and builds them, until it is asked to end.

use crate::http::WebhookClient;
use crate::state::{self, DataDir, secret_key};
use crate::{configuration, logging, signals};
use builder::git::{HostKeys, Logins};
use builder::worker::{self, Settings, Stop};
use clap::Args;
use database::Database;
use registry_client::Allowed;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use webhook::CloneLogins;

/// Arguments of `slipway worker`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The configuration [default: slipway.toml in the data directory, then in
    /// $XDG_CONFIG_HOME/slipway, then in /etc/slipway]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How many builds run at once in this process
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    builds: u16,
    /// The server that started this worker; the worker ends when it is gone
    #[arg(long, hide = true, value_name = "PID")]
    parent: Option<u32>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    logging::log_to_stderr();
    runtime::keep_files_private();
    let data = DataDir::open(data_dir)?;
    let configuration = configuration::read(arguments.config.as_deref(), &data)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?;
    let url = configuration.server.database.clone().unwrap_or_else(|| data.database_url());
    let mut services = state::open(&data, &url, configuration::registries(&configuration), tokio.handle())?;
    let own = configuration.settings(([127, 0, 0, 1], 0).into()).map_err(|error| registry_client::report(&error))?;
    let (hosts, networks) = own.allowed_addresses();
    services.client = services.client.allowing(Allowed { hosts, networks, proxies: crate::sandbox::proxy_hosts() });
    services.client = state::mirrors::through(services.client, state::mirrors::open(&data, &configuration)?);
    let key_file = configuration.server.secret_key_file.as_deref();
    services.database = tokio.block_on(secret_key::give(services.database, key_file, &data))?;
    crate::sandbox::configure(&mut services.sandbox, &configuration.sandbox);
    let unprotected = crate::sandbox::check(&services.sandbox, &configuration.sandbox.allow_unprotected)?;
    if let Err(error) = runtime::sweep(&services.sandbox) {
        // The janitor tries again; leftovers must not keep it from building.
        tracing::warn!(error = registry_client::report(&error), "leftovers of ended builds cannot be removed");
    }
    let limits = &configuration.limits;
    let memory = limits.worker_memory_mib.map(|mebibytes| mebibytes * 1024 * 1024);
    match runtime::limit_memory(memory) {
        Ok(bytes) => tracing::debug!(bytes, "the memory of this process is limited"),
        Err(error) => tracing::warn!(%error, "the memory of this process cannot be limited"),
    }
    let settings = Settings {
        name: worker::name(),
        builds: usize::from(arguments.builds),
        unprotected,
        git_dir: data.join("git"),
        max_paths: limits.paths,
        own_repositories: own.repository_names().map(str::to_owned).collect(),
        git_credentials: Logins::new(&configuration.git_credentials()),
        host_keys: HostKeys::new(&configuration.git_host_keys()),
        lfs_max_bytes: limits.lfs_mib << 20,
        hook_image: configuration.hub.image.clone(),
        expiring_logins: logins(&services.database, &own, tokio.handle())?,
        reading: configuration::reading(&configuration),
        fetch_timeout: Duration::from_secs(limits.fetch_minutes * 60),
        step_timeout: Duration::from_secs(limits.step_minutes * 60),
        build_timeout: Duration::from_secs(limits.build_minutes * 60),
    };
    let stop = Stop::new();
    end_with_parent(arguments.parent, &stop);
    tokio.spawn(end_when_asked(stop.clone(), Duration::from_secs(limits.drain_seconds)));
    worker::work(&services, &settings, &stop);
    tokio.shutdown_timeout(Duration::from_secs(1));
    Ok(ExitCode::SUCCESS)
}

/// The logins that the Apps of forges give.
struct AppLogins {
    logins: CloneLogins,
    tokio: tokio::runtime::Handle,
}

impl std::fmt::Debug for AppLogins {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AppLogins")
    }
}

impl worker::ExpiringLogins for AppLogins {
    fn login(&self, repository: &str, clone_url: &str) -> Result<Option<(String, String)>, String> {
        self.tokio.block_on(self.logins.login(repository, clone_url))
    }

    fn forget(&self, repository: &str, clone_url: &str) -> bool {
        self.tokio.block_on(self.logins.forget(repository, clone_url))
    }
}

fn logins(
    database: &Database,
    settings: &webhook::Settings,
    tokio: &tokio::runtime::Handle,
) -> Result<Arc<dyn worker::ExpiringLogins>, String> {
    let logins = CloneLogins::new(database.clone(), settings.clone(), Arc::new(WebhookClient::new()?));
    Ok(Arc::new(AppLogins { logins, tokio: tokio.clone() }))
}

/// Ends the worker when it is asked to: after its builds, or at once when it is asked again.
async fn end_when_asked(stop: Stop, grace: Duration) {
    signals::wait_for_signal().await;
    tracing::info!(seconds = grace.as_secs(), "asked to end; running builds have so long");
    stop.ask(grace);
    signals::wait_for_repeated_signal().await;
    tracing::info!("asked again; running builds go back to the queue");
    stop.ask(Duration::ZERO);
}

/// Watches the server that started this worker: when it dies, however that happens, its builds go back to the queue.
fn end_with_parent(parent: Option<u32>, stop: &Stop) {
    let Some(parent) = parent else { return };
    let stop = stop.clone();
    std::thread::spawn(move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(Duration::from_millis(200));
        }
        stop.ask(Duration::ZERO);
        tracing::warn!("the server is gone; running builds go back to the queue");
    });
}
