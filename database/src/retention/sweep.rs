//! Retention: what is kept of builds, logs and deliveries, and for how long. The rest is removed in small transactions, so
//! that nobody who writes waits for it.
//!
//! Whatever the limits say, these stay: builds that have not ended, the newest success of each rule on a branch or tag, a
//! build that a tag names, the last build of a repository, after which the next is numbered, what is still to be told of a
//! build, and the newest push to each ref, which tells the next one its place.

use crate::database::Database;
use crate::error::Error;
use crate::retention::builds::{self, read_builds};
use crate::retention::deliveries::{self, read_deliveries};
use crate::retention::plan::{Doomed, Retained, RetentionPolicy};
use crate::retention::removals::Removed;

impl Database {
    /// Removes what is beyond the limits; returns how much that was. Interrupted, it leaves nothing half.
    pub async fn sweep(&self, policy: &RetentionPolicy) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        let (mut builds, mut deliveries) = (Retained::default(), Retained::default());
        for repository in self.known_repositories().await? {
            let limits = policy.of(&repository);
            let now_ms = self.now_ms().await?;
            let doomed = builds.judge(&limits, read_builds(self, &repository).await?, now_ms);
            self.remove_builds(&doomed, &mut removed).await?;
            // After the builds: a delivery stays as long as one of its builds does.
            let doomed = deliveries.judge(&limits, read_deliveries(self, &repository).await?, now_ms);
            self.remove_deliveries(&doomed, &mut removed).await?;
        }
        let now_ms = self.now_ms().await?;
        self.remove_builds(&builds.beyond(&policy.total, now_ms), &mut removed).await?;
        self.remove_deliveries(&deliveries.beyond(&policy.total, now_ms), &mut removed).await?;
        self.remove_leftovers(&mut removed).await?;
        self.remove_registry_leftovers(&mut removed).await?;
        self.remove_old_audit(policy.audit_days, &mut removed).await?;
        Ok(removed)
    }

    async fn remove_builds(&self, doomed: &Doomed<String>, removed: &mut Removed) -> Result<(), Error> {
        for build in doomed.contents.iter().chain(&doomed.rows) {
            self.remove_log(build, removed).await?;
        }
        for batch in doomed.stripped.chunks(builds::DETAILS) {
            self.remove_details(batch, removed).await?;
        }
        for batch in doomed.rows.chunks(builds::BATCH) {
            self.remove_records(batch, removed).await?;
        }
        Ok(())
    }

    async fn remove_deliveries(&self, doomed: &Doomed<i64>, removed: &mut Removed) -> Result<(), Error> {
        for batch in doomed.contents.chunks(deliveries::BATCH) {
            self.remove_bodies(batch, removed).await?;
        }
        for batch in doomed.rows.chunks(deliveries::BATCH) {
            self.remove_delivered(batch, removed).await?;
        }
        Ok(())
    }
}
