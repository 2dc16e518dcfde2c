//! How many builds there are, by state: what monitoring asks every few seconds, so only indexes are read.

use crate::database::Database;
use crate::error::Error;
use crate::model::build::build_state;
use crate::model::build_state::BuildState;
use crate::sql::statement::sql;
use crate::sql::states::QUEUED;
use std::collections::BTreeMap;

/// Counts of all builds, for monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Builds that wait or are worked on, by state.
    pub open: Vec<(BuildState, i64)>,
    /// Builds that have ended, by how, those included that retention removed.
    pub ended: Vec<(BuildState, i64)>,
    /// How long the first of those that wait for a worker has waited, in milliseconds; 0 if none does.
    pub longest_wait_ms: i64,
}

impl Database {
    /// Counts builds.
    pub async fn counts(&self) -> Result<Counts, Error> {
        let queued = format!("SELECT state, COUNT(*) AS amount FROM builds WHERE state = {QUEUED} GROUP BY state");
        const RUNNING: &str = "SELECT state, COUNT(*) AS amount FROM builds WHERE worker IS NOT NULL GROUP BY state";
        const ENDED: &str =
            "SELECT state, COUNT(*) AS amount FROM builds WHERE finished_ms IS NOT NULL GROUP BY state ORDER BY state";
        let oldest = sql(
            "counting builds",
            format!("SELECT MIN(created_ms) AS oldest_ms FROM builds WHERE state = {QUEUED} AND NOT awaits_approval"),
        );
        let oldest: Option<i64> = oldest.one(self.read()).await?.get("oldest_ms")?;
        let longest_wait_ms = match oldest {
            Some(created_ms) => (self.now_ms().await? - created_ms).max(0),
            None => 0,
        };
        let mut open = self.count(queued).await?;
        open.extend(self.count(RUNNING.to_owned()).await?);
        let (removed, there) = (self.removals().await?, self.count(ENDED.to_owned()).await?);
        let mut ended: BTreeMap<&str, (BuildState, i64)> =
            removed.ended().map(|(state, count)| (state.as_str(), (state, count))).collect();
        for (state, count) in there {
            ended.entry(state.as_str()).or_insert((state, 0)).1 += count;
        }
        Ok(Counts { open, ended: ended.into_values().collect(), longest_wait_ms })
    }

    async fn count(&self, text: String) -> Result<Vec<(BuildState, i64)>, Error> {
        let rows = sql("counting builds", text).all(self.read()).await?;
        rows.iter().map(|row| Ok((build_state(row, "state")?, row.get("amount")?))).collect()
    }
}
