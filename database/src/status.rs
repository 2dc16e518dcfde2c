//! What people and tools ask: builds, steps, logs, positions in the queue.

use crate::rows::{BUILD, build, json};
use crate::{Build, BuildFilter, BuildId, Database, Error, LogChunk, Step};
use sqlx::{AssertSqlSafe, Row};

/// Most builds that a list holds.
const MAX_LIST: u32 = 200;

impl Database {
    /// Returns a build.
    pub async fn build(&self, id: &BuildId) -> Result<Option<Build>, Error> {
        let sql = format!("SELECT {BUILD} FROM builds WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(id.as_str())
            .fetch_optional(&self.reader)
            .await
            .map_err(Error::unavailable("reading a build"))?;
        row.as_ref().map(build).transpose()
    }

    /// Returns the builds that `filter` describes, newest first.
    pub async fn builds(&self, filter: &BuildFilter) -> Result<Vec<Build>, Error> {
        let conditions = [
            ("repository = ", filter.repository.clone()),
            ("git_ref = ", filter.git_ref.clone()),
            ("commit_id = ", filter.commit.clone()),
            ("state = ", filter.state.map(|state| state.as_str().to_owned())),
            ("id < ", filter.before.as_ref().map(ToString::to_string)),
        ];
        let given: Vec<_> =
            conditions.into_iter().filter_map(|(column, value)| value.map(|value| (column, value))).collect();
        let mut sql = format!("SELECT {BUILD} FROM builds WHERE TRUE");
        for (position, (column, _)) in given.iter().enumerate() {
            sql.push_str(&format!(" AND {column}${}", position + 1));
        }
        sql.push_str(&format!(" ORDER BY id DESC LIMIT {}", filter.limit.clamp(1, MAX_LIST)));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (_, value) in given {
            query = query.bind(value);
        }
        let rows = query.fetch_all(&self.reader).await.map_err(Error::unavailable("listing builds"))?;
        rows.iter().map(build).collect()
    }

    /// Returns the steps of a build, in order.
    pub async fn steps(&self, id: &BuildId) -> Result<Vec<Step>, Error> {
        let doing = "reading steps";
        let rows = sqlx::query("SELECT step_json FROM steps WHERE build_id = $1 ORDER BY number")
            .bind(id.as_str())
            .fetch_all(&self.reader)
            .await
            .map_err(Error::unavailable(doing))?;
        rows.iter().map(|row| json(&row.try_get::<String, _>(0).map_err(Error::unavailable(doing))?)).collect()
    }

    /// Returns the log of a build from byte `from` on, about `max_bytes` of it.
    pub async fn logs(&self, id: &BuildId, from: i64, max_bytes: usize) -> Result<Vec<LogChunk>, Error> {
        let doing = "reading a log";
        let rows = sqlx::query(
            "SELECT start, step, content, at_ms FROM logs WHERE build_id = $1 AND start + length > $2 ORDER BY start LIMIT 256",
        )
        .bind(id.as_str())
        .bind(from)
        .fetch_all(&self.reader)
        .await
        .map_err(Error::unavailable(doing))?;
        let mut chunks = Vec::new();
        let mut bytes = 0;
        for row in rows {
            if bytes >= max_bytes {
                break;
            }
            let start: i64 = row.try_get(0).map_err(Error::unavailable(doing))?;
            let content: Vec<u8> = row.try_get(2).map_err(Error::unavailable(doing))?;
            let seen = usize::try_from(from - start).unwrap_or(0).min(content.len());
            let text = content[seen..].to_vec();
            bytes += text.len();
            chunks.push(LogChunk {
                offset: start + seen as i64,
                step: row.try_get(1).map_err(Error::unavailable(doing))?,
                text,
                at_ms: row.try_get(3).map_err(Error::unavailable(doing))?,
            });
        }
        Ok(chunks)
    }

    /// Returns the place of a queued build in the queue, 1 for the next; `None` if it is not queued.
    pub async fn queue_position(&self, id: &BuildId) -> Result<Option<i64>, Error> {
        let doing = "reading the queue";
        let row = sqlx::query(
            "SELECT COUNT(*) FROM builds WHERE state = 'queued' AND id <= $1 \
             AND EXISTS (SELECT 1 FROM builds WHERE id = $1 AND state = 'queued')",
        )
        .bind(id.as_str())
        .fetch_one(&self.reader)
        .await
        .map_err(Error::unavailable(doing))?;
        let position: i64 = row.try_get(0).map_err(Error::unavailable(doing))?;
        Ok((position > 0).then_some(position))
    }
}
