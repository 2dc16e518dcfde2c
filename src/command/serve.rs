//! `slipway serve`: webhooks, API and pages on one address, the registry on another, and workers as processes of their own.

use crate::http::{WebhookClient, listen};
use crate::registry_images::StoredImages;
use crate::state::{DataDir, InstanceLock, mirrors, recover_registry, secret_key};
use crate::workers::{Ending, WorkerSupervisor};
use crate::{configuration, logging, signals};
use clap::Args;
use database::Database;
use registry::{ClientAddress, EventKind, ImmutableTags, Quota};
use registry_client::report;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch::{Receiver, channel};
use tokio::task::JoinHandle;
use webhook::{Configuration, NotificationEvent, Readiness, Settings};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Arguments of `slipway serve`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The configuration [default: slipway.toml in the data directory, then in
    /// $XDG_CONFIG_HOME/slipway, then in /etc/slipway]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command until it is asked to end.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    logging::log_to_stderr();
    runtime::keep_files_private();
    let data = DataDir::open(data_dir)?;
    let _instance = InstanceLock::lock(&data)?;
    let configuration = configuration::read(arguments.config.as_deref(), &data)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?;
    configuration.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    tokio.block_on(serve(configuration, &data, arguments.config.as_deref()))?;
    tokio.shutdown_timeout(Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}

async fn serve(configuration: Configuration, data: &DataDir, config: Option<&Path>) -> Result<(), String> {
    let server = configuration.server.clone();
    if server.workers > 0 {
        runtime::check_filesystem(data.path()).map_err(|error| report(&error))?;
    }
    let web = bind("listen", &server.listen).await?;
    let hub = bind("registry_listen", &server.registry_listen).await?;
    let address = web.local_addr().map_err(|error| format!("reading the address: {error}"))?;
    let hub_address = hub.local_addr().map_err(|error| format!("reading the address: {error}"))?;
    configuration.check_registry(hub_address).map_err(|error| report(&error))?;
    let settings = configuration.settings(address).map_err(|error| report(&error))?;
    let database = open_database(&configuration, data).await?;
    webhook::register_webhooks(&database, &settings).await.map_err(|error| report(&error))?;
    let store = open_store(data)?;
    let (stop, stopped) = channel(false);
    let registry_settings = registry_settings(&configuration, &settings, &database, data)?;
    let cleaning = tokio::spawn(registry::keep_retention(store.clone(), registry_settings.clone(), stopped.clone()));
    let images = stored_images(&configuration, &store, &registry_settings, &database);
    let registry = registry::router(store, registry_settings);
    let readiness = Arc::new(Readiness::new(server.workers));
    let client = Arc::new(WebhookClient::new()?);
    let spool = data.path().to_owned();
    let router =
        webhook::router(database.clone(), settings.clone(), readiness.clone(), spool, client.clone(), Arc::new(images));
    let serving = tokio::spawn(listen(web, router, stopped.clone()));
    let registering = tokio::spawn(listen(hub, registry, stopped.clone()));
    let background = Background { database, settings, client, readiness: readiness.clone(), stopped: stopped.clone() };
    let background = background.start(&configuration)?;
    let (end_workers, ending) = channel(Ending::No);
    let drain = Duration::from_secs(configuration.limits.drain_seconds);
    let keeper = WorkerSupervisor { data: data.clone(), config: config.map(Path::to_owned), drain, readiness };
    let keeper = Arc::new(keeper);
    let workers: Vec<_> = (0..server.workers)
        .map(|number| {
            let (keeper, ending) = (keeper.clone(), ending.clone());
            tokio::spawn(async move { keeper.keep(number, ending).await })
        })
        .collect();
    tracing::info!(listen = %address, registry = %server.registry_listen, workers = server.workers, data = %data.path().display(), "slipway serves");
    eprintln!("slipway: http://{address}  registry: {}  data: {}", server.registry_listen, data.path().display());
    signals::wait_for_signal().await;
    tracing::info!("asked to end");
    let _ = end_workers.send(Ending::WhenDone);
    tokio::spawn(async move {
        signals::wait_for_repeated_signal().await;
        let _ = end_workers.send(Ending::Now);
    });
    // Workers first: what they finish now they push to the registry that is served here.
    for worker in workers {
        let _ = worker.await;
    }
    let _ = stop.send(true);
    let _ = tokio::join!(serving, registering, cleaning);
    for task in background {
        let _ = task.await;
    }
    Ok(())
}

/// Tasks that run beside the requests until the server stops.
struct Background {
    database: Database,
    settings: Settings,
    client: Arc<WebhookClient>,
    readiness: Arc<Readiness>,
    stopped: Receiver<bool>,
}

impl Background {
    fn start(self, configuration: &Configuration) -> Result<Vec<JoinHandle<()>>, String> {
        let Background { database, settings, client, readiness, stopped } = self;
        let reconcile_pause = Duration::from_secs(configuration.server.reconcile_seconds);
        let base_image_pause = Duration::from_secs(configuration.server.base_image_seconds);
        let retention = configuration.retention.clone();
        let listen = &configuration.server.registry_listen;
        let registry = configuration.registry.public_url.clone().unwrap_or_else(|| format!("http://{listen}"));
        Ok(vec![
            tokio::spawn(webhook::run_schedules(database.clone(), settings.clone(), stopped.clone())),
            tokio::spawn(webhook::expand_fetched_rules(database.clone(), settings.clone(), stopped.clone())),
            tokio::spawn(webhook::build_targets(database.clone(), stopped.clone())),
            tokio::spawn(webhook::find_missed_pushes(
                database.clone(),
                settings.clone(),
                reconcile_pause,
                stopped.clone(),
            )),
            tokio::spawn(webhook::rebuild_on_new_bases(
                database.clone(),
                settings.clone(),
                base_image_pause,
                stopped.clone(),
            )),
            tokio::spawn(webhook::follow_links(database.clone(), settings.clone(), stopped.clone())),
            tokio::spawn(webhook::publish_statuses(
                database.clone(),
                settings.clone(),
                client.clone(),
                stopped.clone(),
            )),
            tokio::spawn(webhook::publish_pull_comments(
                database.clone(),
                settings.clone(),
                client.clone(),
                stopped.clone(),
            )),
            tokio::spawn(webhook::notify_webhooks(database.clone(), settings.clone(), client.clone(), stopped.clone())),
            tokio::spawn(webhook::notify_endpoints(
                database.clone(),
                configuration.notifications.clone(),
                registry,
                client,
                stopped.clone(),
            )),
            tokio::spawn(webhook::run_retention(database.clone(), settings.clone(), retention, stopped.clone())),
            tokio::spawn(crate::state::disk_reserve::keep(database.clone(), readiness, stopped)),
        ])
    }
}

/// Opens the database; what lies in it from before is sealed, and the configuration has to go with it.
async fn open_database(configuration: &Configuration, data: &DataDir) -> Result<Database, String> {
    let server = &configuration.server;
    let url = server.database.clone().unwrap_or_else(|| data.database_url());
    let database = Database::open(&url).await.map_err(|error| report(&error))?;
    let database = secret_key::give(database, server.secret_key_file.as_deref(), data).await?;
    let added = database.repository_names().await.map_err(|error| report(&error))?;
    configuration.check_token_repositories(&added).map_err(|error| report(&error))?;
    database.seal_stored().await.map_err(|error| report(&error))?;
    Ok(database)
}

/// Opens the store of the registry; what a crash cut short is put aside before anybody is told that it is there.
fn open_store(data: &DataDir) -> Result<image_store::Store, String> {
    let store = image_store::Store::open(&data.join("images")).map_err(|error| report(&error))?;
    store.recover(builder::worker::RECENT).map_err(|error| report(&error))?;
    recover_registry(data, &store)?;
    Ok(store)
}

/// Returns the images of the registry as pages show them.
fn stored_images(
    configuration: &Configuration,
    store: &image_store::Store,
    settings: &registry::Settings,
    database: &Database,
) -> StoredImages {
    StoredImages {
        store: store.clone(),
        host: registry_host(configuration),
        retention: settings.retention.clone(),
        database: database.clone(),
        tokio: tokio::runtime::Handle::current(),
    }
}

/// Returns the host by which images of the embedded registry are pulled.
fn registry_host(configuration: &Configuration) -> String {
    let public = configuration.registry.public_url.as_deref();
    let host = public.and_then(|url| url.split_once("://")).map(|(_, host)| host.trim_end_matches('/').to_owned());
    host.unwrap_or_else(|| configuration.server.registry_listen.clone())
}

fn registry_settings(
    configuration: &Configuration,
    service: &Settings,
    database: &Database,
    data: &DataDir,
) -> Result<registry::Settings, String> {
    let users = configuration.registry_users.iter();
    let users: Vec<_> =
        users.map(|login| registry::User { name: login.username.clone(), password: login.password.clone() }).collect();
    let access = match users.is_empty() {
        true => registry::Access::Open,
        false => registry::Access::Accounts(registry::Accounts::new(users, database.clone())),
    };
    let (section, service) = (&configuration.registry, service.clone());
    let quotas = section.quota_mib.iter();
    let quotas = quotas
        .map(|quota| Quota { repositories: quota.repositories.clone(), bytes: quota.mib.saturating_mul(1024 * 1024) });
    let immutable_tags = section.immutable_tags.iter().map(|text| ImmutableTags::parse(text)).collect::<Result<_, _>>();
    Ok(registry::Settings {
        access,
        sparse_manifests: section.sparse_manifests,
        tag_parameters: section.tag_parameters,
        public_url: section.public_url.clone(),
        immutable_tags: immutable_tags.map_err(|problem| format!("registry.immutable_tags: {problem}"))?,
        quotas: quotas.collect(),
        retention: section.retention.iter().map(retention_rule).collect(),
        restore: DAY * section.restore_days,
        client_address: ClientAddress::new(move |peer, headers| service.client_address(peer, headers)),
        audit: Some(database.clone()),
        endpoints: configuration.notifications.iter().map(endpoint).collect(),
        mirrors: mirrors::open(data, configuration)?,
    })
}

fn endpoint(notification: &webhook::Notification) -> registry::Endpoint {
    let kind = |event: &NotificationEvent| match event {
        NotificationEvent::Push => EventKind::Push,
        NotificationEvent::Pull => EventKind::Pull,
        NotificationEvent::Mount => EventKind::Mount,
        NotificationEvent::Delete => EventKind::Delete,
    };
    registry::Endpoint {
        name: notification.name.clone(),
        kinds: notification.events.iter().map(kind).collect(),
        repositories: notification.repositories.clone(),
    }
}

fn retention_rule(rule: &webhook::RetentionSection) -> registry::RetentionRule {
    registry::RetentionRule {
        repositories: rule.repositories.clone(),
        keep_newest: rule.keep_newest,
        keep_days: rule.keep_days,
        keep_tags: rule.keep_tags.clone(),
    }
}

/// Listens on the address that `key` of the configuration names.
async fn bind(key: &str, address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => "another program listens there: end it, or choose another address",
            ErrorKind::InvalidInput => "an address and a port are expected, as in 127.0.0.1:8080",
            _ => "choose another address",
        };
        format!("listening on {address}: {error}; {remedy} in `server.{key}`")
    })
}
