//! The outbox: commit statuses to be told to forges, written with the change that they tell of.

use crate::{BuildId, BuildState, Database, Error, PendingStatus};
use sqlx::{Row, Sqlite, Transaction};

/// How often a status is offered before it is given up.
const MAX_TRIES: i64 = 10;

/// Writes a status for a build whose commit is known.
pub async fn write(
    transaction: &mut Transaction<'static, Sqlite>,
    build: &BuildId,
    (state, description): (BuildState, &str),
    now_ms: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO statuses (build_id, repository, commit_id, rule, state, description, due_ms) \
         SELECT id, repository, commit_id, rule, $2, $3, $4 FROM builds WHERE id = $1 AND commit_id IS NOT NULL",
    )
    .bind(build.as_str())
    .bind(state.as_str())
    .bind(description)
    .bind(now_ms)
    .execute(&mut **transaction)
    .await
    .map_err(Error::unavailable("writing a status"))?;
    Ok(())
}

impl Database {
    /// Returns statuses that are due, oldest first; of a build only the first that is not told yet.
    pub async fn pending_statuses(&self, limit: u32) -> Result<Vec<PendingStatus>, Error> {
        let doing = "reading the outbox";
        let rows = sqlx::query(
            "SELECT id, build_id, repository, commit_id, rule, state, description FROM statuses s WHERE due_ms <= $1 \
             AND NOT EXISTS (SELECT 1 FROM statuses earlier WHERE earlier.build_id = s.build_id AND earlier.id < s.id) \
             ORDER BY id LIMIT $2",
        )
        .bind(self.clock.now_ms())
        .bind(limit)
        .fetch_all(&self.reader)
        .await
        .map_err(Error::unavailable(doing))?;
        let status = |row: &sqlx::sqlite::SqliteRow| -> Option<PendingStatus> {
            Some(PendingStatus {
                id: row.try_get(0).ok()?,
                build: BuildId::parse(&row.try_get::<String, _>(1).ok()?)?,
                repository: row.try_get(2).ok()?,
                commit: row.try_get(3).ok()?,
                rule: row.try_get(4).ok()?,
                state: BuildState::parse(&row.try_get::<String, _>(5).ok()?)?,
                description: row.try_get(6).ok()?,
            })
        };
        rows.iter().map(|row| status(row).ok_or(Error::Damaged("a status"))).collect()
    }

    /// Removes a status that was told; one that was not is due again later, until it has been tried often enough.
    pub async fn acknowledge_status(&self, id: i64, delivered: bool) -> Result<(), Error> {
        let doing = "acknowledging a status";
        let mut transaction = self.write().await?;
        if !delivered {
            sqlx::query(
                "UPDATE statuses SET tries = tries + 1, due_ms = $2 + 1000 * (1 << MIN(tries, 9)) WHERE id = $1",
            )
            .bind(id)
            .bind(self.clock.now_ms())
            .execute(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        }
        sqlx::query("DELETE FROM statuses WHERE id = $1 AND ($2 OR tries >= $3)")
            .bind(id)
            .bind(delivered)
            .bind(MAX_TRIES)
            .execute(&mut *transaction)
            .await
            .map_err(Error::unavailable(doing))?;
        transaction.commit().await.map_err(Error::unavailable(doing))
    }
}
