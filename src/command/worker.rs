//! `slipway worker`: claims builds from the queue and builds them, until it is asked to end.

use crate::configuration;
use crate::services::{self, DataDir};
use builder::worker::{self, Settings};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Arguments of `slipway worker`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration [default: slipway.toml in the data directory, then /etc/slipway/slipway.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server that started this worker; the worker ends when it is gone
    #[arg(long, hide = true, value_name = "PID")]
    parent: Option<u32>,
}

/// Runs the command.
pub fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    services::log_to_stderr();
    let data = DataDir::open(data_dir)?;
    let configuration = configuration::read(arguments.config.as_deref(), &data)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?;
    let url = configuration.server.database.clone().unwrap_or_else(|| data.database_url());
    let services = services::open(&data, &url, configuration::credentials(&configuration), tokio.handle())?;
    runtime::sweep(&services.sandbox).map_err(|error| services::chain(&error))?;
    let limits = &configuration.limits;
    let settings = Settings {
        name: worker::name(),
        git_dir: data.join("git"),
        git_credentials: configuration.git_credentials(),
        step_timeout: Duration::from_secs(limits.step_minutes * 60),
        build_timeout: Duration::from_secs(limits.build_minutes * 60),
    };
    let stop = Arc::new(AtomicBool::new(false));
    end_with_parent(arguments.parent, &stop);
    let stopping = stop.clone();
    tokio.spawn(async move {
        services::wait_for_signal().await;
        stopping.store(true, Ordering::Relaxed);
    });
    worker::work(&services, &settings, &stop);
    tokio.shutdown_timeout(Duration::from_secs(1));
    Ok(ExitCode::SUCCESS)
}

/// Watches the server that started this worker: when it dies, however that happens, so does the worker after its build.
fn end_with_parent(parent: Option<u32>, stop: &Arc<AtomicBool>) {
    let Some(parent) = parent else { return };
    let stop = stop.clone();
    std::thread::spawn(move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(Duration::from_millis(500));
        }
        stop.store(true, Ordering::Relaxed);
    });
}
