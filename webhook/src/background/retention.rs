//! Removes what is beyond the limits of `[retention]`, from time to time.

use crate::configuration::retention::{Retention, RetentionDocument};
use crate::configuration::settings::Settings;
use crate::intake::catalog::Catalog;
use database::{Database, RetentionPolicy};
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How long to wait before the first sweep: what a start needs goes first.
const FIRST_SWEEP: Duration = Duration::from_secs(2);
/// How often to sweep.
const SWEEP_INTERVAL: Duration = Duration::from_secs(300);

/// Removes what is beyond the limits from time to time, until `stopped`.
pub async fn run_retention(database: Database, settings: Settings, retention: Retention, mut stopped: Receiver<bool>) {
    let catalog = Catalog::new(&settings);
    let mut pause = FIRST_SWEEP;
    loop {
        if tokio::time::timeout(pause, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
            return;
        }
        pause = SWEEP_INTERVAL;
        tokio::select! {
            swept = sweep(&database, &catalog, &retention) => {
                if let Err(error) = swept {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "retention sweep failed; it will be repeated");
                }
            }
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

async fn sweep(database: &Database, catalog: &Catalog, retention: &Retention) -> Result<(), database::Error> {
    let policy = policy(retention, catalog, database).await?;
    let removed = database.sweep(&policy).await?;
    if !removed.is_empty() {
        tracing::info!(
            builds = removed.builds(),
            logs = removed.of("logs"),
            log_bytes = removed.of("log_bytes"),
            deliveries = removed.of("deliveries"),
            delivery_bodies = removed.of("delivery_bodies"),
            notifications = removed.of("notifications"),
            "retention removed what was beyond its limits"
        );
    }
    Ok(())
}

async fn policy(
    retention: &Retention,
    catalog: &Catalog,
    database: &Database,
) -> Result<RetentionPolicy, database::Error> {
    let entries = catalog.all(database).await?;
    let own = entries.iter().filter_map(|entry| Some((entry, entry.document.retention.as_ref()?)));
    Ok(RetentionPolicy {
        usual: retention.limits(&RetentionDocument::default()),
        repositories: own.map(|(entry, own)| (entry.document.name.clone(), retention.limits(own))).collect(),
        total: retention.total(),
        audit_days: retention.audit_days(),
    })
}
