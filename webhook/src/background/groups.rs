//! Makes each target that a worker found in a rule's bake file a build of its own, and ends the build of the rule with them.

use database::Database;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often groups are read from the database.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Groups that are read at once.
const MAX_BATCH: u32 = 20;

/// Makes targets builds, and ends their groups, until `stopped`.
pub async fn build_targets(database: Database, mut stopped: Receiver<bool>) {
    while !*stopped.borrow() {
        if let Err(error) = expand_and_settle(&database).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "targets of bake files cannot be queued");
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, stopped.wait_for(|stopped| *stopped)).await;
    }
}

async fn expand_and_settle(database: &Database) -> Result<(), database::Error> {
    for group in database.expandable_groups(MAX_BATCH).await? {
        if let Some(builds) = database.expand_group(&group).await? {
            tracing::info!(build.id = group.as_str(), targets = builds.len(), "the targets of a bake file are queued");
        }
    }
    for (group, state) in database.settle_groups().await? {
        tracing::info!(build.id = group.as_str(), state = state.as_str(), "all targets of a bake file have ended");
    }
    Ok(())
}
