//! Looks after what dead workers left: their builds go back to the queue, their files and control groups go.

use super::settings::Settings;
use super::stop::Stop;
use super::{garbage, identity};
use crate::Services;
use database::WorkerInfo;
use registry_client::Platform;
use std::time::{Duration, Instant};

/// How often builds are looked for whose worker is gone, while a worker has some.
const BUILDS: Duration = Duration::from_secs(5);
/// How often the worker says that it is there.
const REGISTER: Duration = Duration::from_secs(90);
/// How soon files are looked after when a worker is gone: what it started may still be ending. Then less and less often.
const MIN_SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How often files are looked after when nothing happened.
const MAX_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How often blobs are looked for that nobody needs.
const GARBAGE: Duration = Duration::from_secs(60 * 60);
/// How long a worker tries to say that it ends.
const DEREGISTER_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the janitor looks whether the worker ends.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Looks after everything until the worker ends.
pub(crate) fn keep(services: &Services, settings: &Settings, stop: &Stop) {
    register(services, settings);
    let now = Instant::now();
    let (mut builds, mut registered, mut files, mut blobs, mut pause) = (now, now, now, now, MIN_SWEEP_INTERVAL);
    let mut changes = services.tokio.block_on(async { services.database.watch_builds() });
    let mut has_claims = true;
    while !stop.is_asked() {
        std::thread::sleep(POLL_INTERVAL);
        if builds.elapsed() >= BUILDS && (changes.has_changed() || has_claims) {
            if sweep(services) {
                pause = MIN_SWEEP_INTERVAL;
            }
            has_claims = services.tokio.block_on(services.database.has_claims()).unwrap_or(true);
            builds = Instant::now();
        }
        if files.elapsed() >= pause {
            sweep_files(services);
            (files, pause) = (Instant::now(), (pause * 2).min(MAX_SWEEP_INTERVAL));
        }
        if registered.elapsed() >= REGISTER {
            register(services, settings);
            (registered, has_claims) = (Instant::now(), true);
        }
        if blobs.elapsed() >= GARBAGE {
            garbage::collect(services, settings, garbage::DEFAULT_RETENTION);
            blobs = Instant::now();
        }
    }
}

fn register(services: &Services, settings: &Settings) {
    let slots = i64::try_from(settings.builds).unwrap_or(i64::MAX);
    // The mirrors' directory is made with the first of them.
    let space = runtime::disk_space(settings.git_dir.parent().unwrap_or(&settings.git_dir));
    let info = WorkerInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: Platform::host().to_string(),
        disk_bytes: space.as_ref().map_or(0, |space| space.total),
        disk_free_bytes: space.as_ref().map_or(0, |space| space.available),
        unprotected: settings.unprotected.clone(),
    };
    if let Err(error) = services.tokio.block_on(services.database.register_worker(&settings.name, slots, &info)) {
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot register worker");
    }
}

/// Takes this worker, which has no builds left, off the list of those that are there. One that cannot say so, because
/// the database is away, is off it after three minutes.
pub(crate) fn leave(services: &Services, settings: &Settings) {
    let left = services.database.release(&settings.name);
    if services.tokio.block_on(async { tokio::time::timeout(DEREGISTER_TIMEOUT, left).await.ok()?.ok() }).is_none() {
        tracing::debug!(worker = settings.name, "the worker could not say that it ends");
    }
}

/// Gives builds back to the queue whose worker is gone: at once on this machine, elsewhere when the lease runs out.
///
/// Returns whether there was such a worker on this machine.
pub(crate) fn sweep(services: &Services) -> bool {
    let database = &services.database;
    let holders = services.tokio.block_on(database.lease_holders()).unwrap_or_default();
    let mut lost = false;
    // A database in a file has only workers of this machine; on a server a machine of the same name may be another one.
    let gone = |worker: &str| {
        identity::is_gone(worker) || database.is_of_one_machine() && identity::is_of_earlier_boot(worker)
    };
    for worker in holders.iter().filter(|worker| gone(worker)) {
        if let Ok(builds) = services.tokio.block_on(database.release(worker)) {
            let builds = builds.len();
            tracing::warn!(worker, builds, "a worker of this machine is gone; its builds are queued again");
            lost = true;
        }
    }
    match services.tokio.block_on(database.expire_leases()) {
        Ok(builds) => {
            for build in builds {
                tracing::warn!(build.id = %build, "the worker of a build is gone; it is queued again");
            }
        }
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "leases cannot be checked"),
    }
    if lost {
        sweep_files(services);
    }
    lost
}

/// Removes the files and control groups of attempts whose processes are gone.
pub(crate) fn sweep_files(services: &Services) {
    if let Err(error) = runtime::sweep(&services.sandbox) {
        tracing::warn!(error = &error as &dyn std::error::Error, "leftovers of ended builds cannot be removed");
    }
}
