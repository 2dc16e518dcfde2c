//! Where the time of builds went, as their workers measured it.

use crate::claim::FENCE;
use crate::rows::{json, to_json};
use crate::sql::sql;
use crate::{BuildId, Claim, Database, Error};
use serde::{Deserialize, Serialize};

/// A piece of the work that the end of a build waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPiece {
    /// Of which kind: `fetch`, `resolve`, `step`, `upload`, …
    pub work: String,
    /// On what.
    pub name: String,
    /// How long, in microseconds.
    pub duration_us: i64,
}

impl Database {
    /// Writes where the time of an attempt went: `trace` is for Chrome's viewer, `path` is the critical path in order.
    pub async fn put_trace(&self, claim: &Claim, trace: &str, path: &[PathPiece]) -> Result<(), Error> {
        let text = format!(
            "INSERT INTO traces (build_id, critical_json, trace_json) SELECT id, $3, $4 FROM builds WHERE {FENCE} \
             ON CONFLICT (build_id) DO UPDATE SET critical_json = excluded.critical_json, trace_json = excluded.trace_json"
        );
        let written = sql("writing a trace", text)
            .bind(claim.build.id.as_str())
            .bind(claim.attempt)
            .bind(to_json(&path)?)
            .bind(trace)
            .run(self.write())
            .await?;
        if written == 0 { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Returns the critical path of a build's last attempt; nothing before that has ended.
    pub async fn critical_path(&self, id: &BuildId) -> Result<Vec<PathPiece>, Error> {
        let text = "SELECT critical_json FROM traces WHERE build_id = $1";
        let row = sql("reading a trace", text).bind(id.as_str()).optional(self.read()).await?;
        row.map_or(Ok(Vec::new()), |row| json(&row.get::<String>(0)?))
    }

    /// Returns the trace of a build's last attempt, in the format of Chrome's viewer; `None` before that has ended.
    pub async fn trace(&self, id: &BuildId) -> Result<Option<String>, Error> {
        let text = "SELECT trace_json FROM traces WHERE build_id = $1";
        let row = sql("reading a trace", text).bind(id.as_str()).optional(self.read()).await?;
        row.map(|row| row.get(0)).transpose()
    }
}
