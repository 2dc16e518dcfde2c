//! `slipway serve`: webhooks, API and pages on one address, the registry on another, and workers as processes of their own.

use crate::configuration;
use crate::services::{self, DataDir, chain};
use axum::Router;
use clap::Args;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch::{Receiver, channel};
use webhook::Configuration;

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
    let data = DataDir::open(data_dir)?;
    let configuration = configuration::read(arguments.config.as_deref(), &data)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?;
    tokio.block_on(serve(configuration, &data, arguments.config.as_deref()))?;
    tokio.shutdown_timeout(Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}

async fn serve(configuration: Configuration, data: &DataDir, config: Option<&Path>) -> Result<(), String> {
    let server = configuration.server.clone();
    let web = bind(&server.listen).await?;
    let hub = bind(&server.registry_listen).await?;
    let address = web.local_addr().map_err(|error| format!("reading the address: {error}"))?;
    let settings = configuration.settings(address).map_err(|error| chain(&error))?;
    let url = server.database.clone().unwrap_or_else(|| data.database_url());
    let database = database::Database::open(&url).await.map_err(|error| chain(&error))?;
    let store = image_store::Store::open(&data.join("images")).map_err(|error| chain(&error))?;
    let (stop, stopped) = channel(false);
    let registry = registry::router(store, registry::Settings { access: registry::Access::Open });
    let serving = tokio::spawn(listen(web, webhook::router(database.clone(), settings.clone()), stopped.clone()));
    let registering = tokio::spawn(listen(hub, registry, stopped.clone()));
    let telling = tokio::spawn(webhook::tell_statuses(database, settings, stopped.clone()));
    let workers: Vec<_> = (0..server.workers)
        .map(|_| tokio::spawn(keep_worker(data.clone(), config.map(Path::to_owned), stopped.clone())))
        .collect();
    tracing::info!(listen = %address, registry = %server.registry_listen, workers = server.workers, data = %data.path().display(), "slipway serves");
    eprintln!("slipway: http://{address}  registry: {}  data: {}", server.registry_listen, data.path().display());
    services::wait_for_signal().await;
    tracing::info!("asked to end");
    let _ = stop.send(true);
    for worker in workers {
        let _ = worker.await;
    }
    let _ = tokio::join!(serving, registering, telling);
    Ok(())
}

async fn bind(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("listening on {address}: {error}"))
}

async fn listen(listener: TcpListener, router: Router, mut stopped: Receiver<bool>) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let ended = axum::serve(listener, service).with_graceful_shutdown(async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    });
    // Streams of logs may stay open for ever: connections get a moment, not a veto.
    let _ = tokio::time::timeout(Duration::from_secs(365 * 24 * 3600), ended).await;
}

/// Keeps one worker process running until slipway ends; a worker that dies is started again.
async fn keep_worker(data: DataDir, config: Option<PathBuf>, mut stopped: Receiver<bool>) {
    while !*stopped.borrow() {
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
            () = asked_to_end(&mut stopped) => {
                let _ = end_worker(&mut worker).await;
                return;
            }
        }
    }
}

async fn asked_to_end(stopped: &mut Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
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

/// Asks a worker to end after its build, as it would be asked from outside.
async fn end_worker(worker: &mut Child) -> std::io::Result<()> {
    if let Some(id) = worker.id() {
        runtime::terminate(id);
    }
    if tokio::time::timeout(Duration::from_secs(10), worker.wait()).await.is_err() {
        worker.kill().await?;
    }
    Ok(())
}
