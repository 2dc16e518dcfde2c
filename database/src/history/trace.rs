//! Where the time of builds went, as their workers measured it.

use crate::database::Database;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::claim::Claim;
use crate::model::json::{json, to_json};
use crate::queue::claim::FENCE;
use crate::sql::clock::millis;
use crate::sql::statement::sql;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A piece of the work that the end of a build waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPiece {
    /// Of which kind: `fetch`, `resolve`, `step`, `upload`, …
    pub work: String,
    /// On what.
    pub name: String,
    /// When it began, in microseconds since the attempt did; `None` in rows of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_us: Option<i64>,
    /// How long, in microseconds.
    pub duration_us: i64,
}

/// Resources that some builds used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// They were asked for since this moment, in milliseconds since 1970.
    pub since_ms: i64,
    /// How many there are.
    pub builds: i64,
    /// Processor time of the sandboxes of attempts that have ended, in milliseconds.
    pub cpu_ms: i64,
    /// How long they took or have been taking, from their first attempt, in milliseconds.
    pub duration_ms: i64,
}

impl Database {
    /// Writes where the time of an attempt went: `trace` is for Chrome's viewer, `path` is the critical path in order. The
    /// processor time of its sandboxes, if it is known, is added to that of the attempts before.
    pub async fn put_trace(
        &self,
        claim: &Claim,
        trace: &str,
        path: &[PathPiece],
        cpu_ms: Option<i64>,
    ) -> Result<(), Error> {
        let text = format!(
            "INSERT INTO traces (build_id, critical_json, trace_json, cpu_ms) SELECT id, $3, $4, CAST($5 AS BIGINT) FROM builds \
             WHERE {FENCE} ON CONFLICT (build_id) DO UPDATE SET critical_json = excluded.critical_json, \
             trace_json = excluded.trace_json, cpu_ms = COALESCE(traces.cpu_ms + excluded.cpu_ms, traces.cpu_ms, excluded.cpu_ms)"
        );
        let written = sql("writing a trace", text)
            .bind(claim.build.id.as_str())
            .bind(claim.attempt)
            .bind(to_json(&path)?)
            .bind(trace)
            .bind(cpu_ms)
            .run(self.write())
            .await?;
        if written == 0 { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Returns the critical path of a build's last attempt; nothing before that has ended.
    pub async fn critical_path(&self, id: &BuildId) -> Result<Vec<PathPiece>, Error> {
        let text = "SELECT critical_json FROM traces WHERE build_id = $1";
        let row = sql("reading a trace", text).bind(id.as_str()).optional(self.read()).await?;
        row.map_or(Ok(Vec::new()), |row| json(&row.get::<String>("critical_json")?))
    }

    /// Returns the processor time that the sandboxes of a build's attempts used, as far as it is known.
    pub async fn cpu_ms(&self, id: &BuildId) -> Result<Option<i64>, Error> {
        let text = "SELECT cpu_ms FROM traces WHERE build_id = $1";
        let row = sql("reading a trace", text).bind(id.as_str()).optional(self.read()).await?;
        row.map_or(Ok(None), |row| row.get("cpu_ms"))
    }

    /// Returns what the builds of a repository used that were asked for in the last `span`.
    pub async fn usage(&self, repository: &str, span: Duration) -> Result<Usage, Error> {
        let now = self.now_ms().await?;
        let since_ms = now - millis(span);
        let row = sql(
            "reading what builds used",
            "SELECT COUNT(*) AS builds, CAST(COALESCE(SUM(t.cpu_ms), 0) AS BIGINT) AS cpu_ms, \
             CAST(COALESCE(SUM(COALESCE(b.finished_ms, $3) - b.started_ms), 0) AS BIGINT) AS duration_ms \
             FROM builds b LEFT JOIN traces t ON t.build_id = b.id WHERE b.repository = $1 AND b.id >= $2 AND b.created_ms >= $4",
        )
        .bind(repository)
        // An index has the ids. Those made after a clock was set back are ahead of their moment.
        .bind(BuildId::first_since(since_ms))
        .bind(now)
        .bind(since_ms)
        .one(self.read())
        .await?;
        Ok(Usage {
            since_ms,
            builds: row.get("builds")?,
            cpu_ms: row.get("cpu_ms")?,
            duration_ms: row.get("duration_ms")?,
        })
    }

    /// Returns the trace of a build's last attempt, in the format of Chrome's viewer; `None` before that has ended.
    pub async fn trace(&self, id: &BuildId) -> Result<Option<String>, Error> {
        let text = "SELECT trace_json FROM traces WHERE build_id = $1";
        let row = sql("reading a trace", text).bind(id.as_str()).optional(self.read()).await?;
        row.map(|row| row.get("trace_json")).transpose()
    }
}
