//! `slipway serve`: webhooks, API and pages on one address, the registry on another, and workers as processes of their own.

use crate::configuration;
use crate::listen::listen;
use crate::posts::Posts;
use crate::services::{self, DataDir, chain};
use clap::Args;
use database::Database;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch::{Receiver, channel};
use webhook::Configuration;

/// How long a worker may take to give its builds back to the queue.
const GIVE_BACK: Duration = Duration::from_secs(30);

/// Arguments of `slipway serve`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration [default: slipway.toml in the data directory, then /etc/slipway/slipway.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command until it is asked to end.
pub fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    services::log_to_stderr();
    runtime::keep_files_private();
    let data = DataDir::open(data_dir)?;
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
        runtime::check_ground(data.path()).map_err(|error| chain(&error))?;
    }
    let web = bind(&server.listen).await?;
    let hub = bind(&server.registry_listen).await?;
    let address = web.local_addr().map_err(|error| format!("reading the address: {error}"))?;
    let hub_address = hub.local_addr().map_err(|error| format!("reading the address: {error}"))?;
    configuration.check_registry(hub_address).map_err(|error| chain(&error))?;
    let settings = configuration.settings(address).map_err(|error| chain(&error))?;
    let database = open_database(&configuration, data).await?;
    webhook::register_webhooks(&database, &settings).await.map_err(|error| chain(&error))?;
    let store = open_store(data)?;
    let (stop, stopped) = channel(false);
    let registry = registry::router(store, registry::Settings { access: registry_access(&configuration) });
    let serving = tokio::spawn(listen(
        web,
        webhook::router(database.clone(), settings.clone(), data.path().to_owned()),
        stopped.clone(),
    ));
    let registering = tokio::spawn(listen(hub, registry, stopped.clone()));
    let scheduling = tokio::spawn(webhook::keep_schedules(database.clone(), settings.clone(), stopped.clone()));
    let expanding = tokio::spawn(webhook::expand_lookups(database.clone(), settings.clone(), stopped.clone()));
    let finding = webhook::find_missed_pushes(
        (database.clone(), settings.clone()),
        Duration::from_secs(server.reconcile_seconds),
        stopped.clone(),
    );
    let finding = tokio::spawn(finding);
    let rebuilding = webhook::rebuild_on_new_bases(
        (database.clone(), settings.clone()),
        Duration::from_secs(server.base_image_seconds),
        stopped.clone(),
    );
    let rebuilding = tokio::spawn(rebuilding);
    let telling = tokio::spawn(webhook::tell_statuses(database.clone(), settings.clone(), stopped.clone()));
    let posts = Arc::new(Posts::new()?);
    let notifying = tokio::spawn(webhook::tell_webhooks((database, settings), posts, stopped.clone()));
    let (end_workers, ending) = channel(Ending::No);
    let drain = Duration::from_secs(configuration.limits.drain_seconds);
    let workers: Vec<_> = (0..server.workers)
        .map(|_| tokio::spawn(keep_worker(data.clone(), config.map(Path::to_owned), (ending.clone(), drain))))
        .collect();
    tracing::info!(listen = %address, registry = %server.registry_listen, workers = server.workers, data = %data.path().display(), "slipway serves");
    eprintln!("slipway: http://{address}  registry: {}  data: {}", server.registry_listen, data.path().display());
    services::wait_for_signal().await;
    tracing::info!("asked to end");
    let _ = end_workers.send(Ending::WhenDone);
    tokio::spawn(async move {
        services::wait_for_signal().await;
        let _ = end_workers.send(Ending::Now);
    });
    // Workers first: what they finish now they push to the registry that is served here.
    for worker in workers {
        let _ = worker.await;
    }
    let _ = stop.send(true);
    let _ = tokio::join!(serving, registering, scheduling, expanding, finding, rebuilding, telling, notifying);
    Ok(())
}

/// Opens the database; what lies in it from before is sealed, and the configuration has to go with it.
async fn open_database(configuration: &Configuration, data: &DataDir) -> Result<Database, String> {
    let server = &configuration.server;
    let url = server.database.clone().unwrap_or_else(|| data.database_url());
    let database = Database::open(&url).await.map_err(|error| chain(&error))?;
    let database = database.with_key(crate::key::read(server.secret_key_file.as_deref(), data)?);
    let added = database.repository_names().await.map_err(|error| chain(&error))?;
    configuration.check_token_repositories(&added).map_err(|error| chain(&error))?;
    database.seal_stored().await.map_err(|error| chain(&error))?;
    Ok(database)
}

/// Opens the store of the registry; what a crash cut short is put aside before anybody is told that it is there.
fn open_store(data: &DataDir) -> Result<image_store::Store, String> {
    let store = image_store::Store::open(&data.join("images")).map_err(|error| chain(&error))?;
    store.recover(builder::worker::RECENT).map_err(|error| chain(&error))?;
    Ok(store)
}

fn registry_access(configuration: &Configuration) -> registry::Access {
    if configuration.registry_users.is_empty() {
        return registry::Access::Open;
    }
    let users = configuration.registry_users.iter();
    registry::Access::Basic(users.map(|login| (login.username.clone(), login.password.clone())).collect())
}

async fn bind(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => "another program listens there: end it, or choose another address",
            ErrorKind::InvalidInput => "an address and a port are expected, as in 127.0.0.1:8080",
            _ => "choose another address",
        };
        format!("listening on {address}: {error}; {remedy} in `server.listen` and `server.registry_listen`")
    })
}

/// Whether the workers are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// They are not.
    No,
    /// After their builds, if those end in time.
    WhenDone,
    /// At once.
    Now,
}

/// Keeps one worker process running until slipway ends; a worker that dies is started again.
async fn keep_worker(data: DataDir, config: Option<PathBuf>, (mut ending, drain): (Receiver<Ending>, Duration)) {
    while *ending.borrow() == Ending::No {
        let mut worker = match start_worker(&data, config.as_deref()) {
            Ok(worker) => worker,
            Err(error) => {
                tracing::error!(error, "a worker cannot be started");
                return;
            }
        };
        tokio::select! {
            status = worker.wait() => {
                tracing::warn!(status = ?status, "a worker ended; starting another");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            () = reaches(&mut ending, Ending::WhenDone) => {
                let _ = end_worker(&mut worker, (&mut ending, drain)).await;
                return;
            }
        }
    }
}

async fn reaches(ending: &mut Receiver<Ending>, wanted: Ending) {
    let _ = ending.wait_for(|ending| *ending == wanted || *ending == Ending::Now).await;
}

fn start_worker(data: &DataDir, config: Option<&Path>) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| format!("finding this program: {error}"))?;
    let mut command = Command::new(program);
    command.arg("worker").arg("--data-dir").arg(data.path()).arg("--parent").arg(std::process::id().to_string());
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("starting a worker: {error}"))
}

/// Asks a worker to end after its builds, and once more when there is no time for that.
async fn end_worker(worker: &mut Child, (ending, drain): (&mut Receiver<Ending>, Duration)) -> std::io::Result<()> {
    let ask = |worker: &Child| worker.id().into_iter().for_each(runtime::terminate);
    ask(worker);
    let ended = tokio::select! {
        _ = worker.wait() => true,
        () = reaches(ending, Ending::Now) => false,
        () = tokio::time::sleep(drain) => false,
    };
    if !ended {
        ask(worker);
        if tokio::time::timeout(GIVE_BACK, worker.wait()).await.is_err() {
            worker.kill().await?;
        }
    }
    Ok(())
}
