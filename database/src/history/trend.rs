//! How the builds of a repository went over weeks: durations, and how much came from the cache.

use crate::database::Database;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::sql::clock::millis;
use crate::sql::statement::sql;
use crate::sql::states::SUCCEEDED;
use std::time::Duration;

/// Builds that are looked at.
const MAX_BUILDS: i64 = 300;

/// A build that succeeded, as far as a trend shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrendPoint {
    /// Its number.
    pub number: i64,
    /// When it was asked for, in milliseconds since 1970.
    pub created_ms: i64,
    /// How long it took.
    pub duration_ms: i64,
    /// Steps that made a layer or took one from the cache.
    pub steps: i64,
    /// Those that took one from the cache.
    pub cached: i64,
    /// Processor time of its sandboxes, as far as it is known.
    pub cpu_ms: i64,
}

impl Database {
    /// Returns the newest builds of a repository that succeeded within `span`, oldest first.
    pub async fn trend(&self, repository: &str, span: Duration) -> Result<Vec<TrendPoint>, Error> {
        let since = self.now_ms().await? - millis(span);
        // In a text of the document quotes are escaped, so that none looks like a key.
        let steps = "FROM steps s WHERE s.build_id = b.id AND s.step_json LIKE '%\"state\":\"succeeded\"%' \
             AND s.step_json NOT LIKE '%\"layer_digest\":null%'";
        let text = format!(
            "SELECT b.number, b.created_ms, b.finished_ms - b.started_ms AS duration_ms, (SELECT COUNT(*) {steps}) AS steps, \
             (SELECT COUNT(*) {steps} AND s.step_json LIKE '%\"cached\":true%') AS cached, \
             COALESCE(t.cpu_ms, 0) AS cpu_ms FROM builds b \
             LEFT JOIN traces t ON t.build_id = b.id WHERE b.repository = $1 AND b.state = {SUCCEEDED} \
             AND b.started_ms IS NOT NULL AND b.id >= $2 AND b.created_ms >= $3 ORDER BY b.id DESC LIMIT $4"
        );
        let rows = sql("reading how builds went", text)
            .bind(repository)
            .bind(BuildId::first_since(since))
            .bind(since)
            .bind(MAX_BUILDS)
            .all(self.read())
            .await?;
        let point = |row: &crate::sql::statement::Row| {
            Ok(TrendPoint {
                number: row.get("number")?,
                created_ms: row.get("created_ms")?,
                duration_ms: row.get("duration_ms")?,
                steps: row.get("steps")?,
                cached: row.get("cached")?,
                cpu_ms: row.get("cpu_ms")?,
            })
        };
        rows.iter().rev().map(point).collect()
    }
}
