//! Steps and logs of builds, for those who read them.

use crate::database::Database;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::json::json;
use crate::model::step::{LogChunk, Step};
use crate::sql::statement::sql;
use std::collections::BTreeMap;

/// Bytes of the end of what a step printed.
const MAX_LAST_OUTPUT: usize = 4096;
/// Most chunks that are read of one step.
const MAX_CHUNKS: usize = 2000;

impl Database {
    /// Returns the steps of a build, in order.
    pub async fn steps(&self, id: &BuildId) -> Result<Vec<Step>, Error> {
        let text = "SELECT step_json FROM steps WHERE build_id = $1 ORDER BY number";
        let rows = sql("reading steps", text).bind(id.as_str()).all(self.read()).await?;
        rows.iter().map(|row| json(&row.get::<String>("step_json")?)).collect()
    }

    /// Returns how many bytes the log of a build has so far.
    pub async fn log_length(&self, id: &BuildId) -> Result<i64, Error> {
        let text = "SELECT COALESCE(MAX(start + length), 0) AS log_length FROM logs WHERE build_id = $1";
        sql("reading a log", text).bind(id.as_str()).one(self.read()).await?.get("log_length")
    }

    /// Returns the log of a build from byte `from` on, about `max_bytes` of it.
    pub async fn logs(&self, id: &BuildId, from: i64, max_bytes: usize) -> Result<Vec<LogChunk>, Error> {
        let rows = sql(
            "reading a log",
            "SELECT start, step, content, at_ms FROM logs WHERE build_id = $1 AND start + length > $2 ORDER BY start LIMIT 256",
        )
        .bind(id.as_str())
        .bind(from)
        .all(self.read())
        .await?;
        let mut chunks = Vec::new();
        let mut bytes = 0;
        for row in rows {
            if bytes >= max_bytes {
                break;
            }
            let start: i64 = row.get("start")?;
            let content: Vec<u8> = row.get("content")?;
            let seen = usize::try_from(from - start).unwrap_or(0).min(content.len());
            let text = content[seen..].to_vec();
            bytes += text.len();
            chunks.push(LogChunk {
                offset: start + seen as i64,
                step: row.get("step")?,
                text,
                at_ms: row.get("at_ms")?,
            });
        }
        Ok(chunks)
    }

    /// Returns how many bytes each step of a build printed; 0 stands for slipway itself.
    pub async fn log_sizes(&self, id: &BuildId) -> Result<BTreeMap<i64, i64>, Error> {
        let text = "SELECT COALESCE(step, 0) AS number, CAST(SUM(length) AS BIGINT) AS bytes FROM logs WHERE build_id = $1 GROUP BY COALESCE(step, 0)";
        let rows = sql("reading a log", text).bind(id.as_str()).all(self.read()).await?;
        rows.iter().map(|row| Ok((row.get("number")?, row.get("bytes")?))).collect()
    }

    /// Returns the first bytes that a step of a build printed; 0 stands for slipway itself.
    pub async fn head_of_step(&self, id: &BuildId, step: i64, max_bytes: usize) -> Result<Vec<u8>, Error> {
        let mut head = self.chunks_of_step(id, step, max_bytes, "start").await?.concat();
        head.truncate(max_bytes);
        Ok(head)
    }

    /// Returns the last bytes that a step of a build printed; 0 stands for slipway itself.
    pub async fn tail_of_step(&self, id: &BuildId, step: i64, max_bytes: usize) -> Result<Vec<u8>, Error> {
        let mut chunks = self.chunks_of_step(id, step, max_bytes, "start DESC").await?;
        chunks.reverse();
        let mut tail = chunks.concat();
        Ok(tail.split_off(tail.len().saturating_sub(max_bytes)))
    }

    /// Returns chunks of a step until there are so many bytes.
    async fn chunks_of_step(
        &self,
        id: &BuildId,
        step: i64,
        max_bytes: usize,
        order: &'static str,
    ) -> Result<Vec<Vec<u8>>, Error> {
        // Sizes first: the content of a long log is not read to be thrown away.
        let text = format!(
            "SELECT length FROM logs WHERE build_id = $1 AND COALESCE(step, 0) = $2 ORDER BY {order} LIMIT {MAX_CHUNKS}"
        );
        let rows = sql("reading a log", text).bind(id.as_str()).bind(step).all(self.read()).await?;
        let (mut wanted, mut bytes) = (0, 0);
        while let Some(row) = rows.get(wanted)
            && bytes < max_bytes
        {
            bytes += usize::try_from(row.get::<i64>("length")?).unwrap_or(0);
            wanted += 1;
        }
        let text = format!(
            "SELECT content FROM logs WHERE build_id = $1 AND COALESCE(step, 0) = $2 ORDER BY {order} LIMIT {wanted}"
        );
        let rows = sql("reading a log", text).bind(id.as_str()).bind(step).all(self.read()).await?;
        rows.iter().map(|row| row.get("content")).collect()
    }

    /// Returns the end of what a step of a build printed, a few kilobytes at most.
    pub async fn last_output(&self, id: &BuildId, step: i64) -> Result<Vec<u8>, Error> {
        let text = "SELECT content FROM logs WHERE build_id = $1 AND step = $2 ORDER BY start DESC LIMIT 4";
        let rows = sql("reading a log", text).bind(id.as_str()).bind(step).all(self.read()).await?;
        let mut end: Vec<u8> = Vec::new();
        for row in &rows {
            let content: Vec<u8> = row.get("content")?;
            end.splice(0..0, content);
            if end.len() >= MAX_LAST_OUTPUT {
                break;
            }
        }
        Ok(end.split_off(end.len().saturating_sub(MAX_LAST_OUTPUT)))
    }
}
