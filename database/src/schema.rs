//! Versions of the schema: each is applied once, in a transaction; a newer one is refused.

use crate::Error;
use sqlx::sqlite::SqlitePool;
use sqlx::{Executor, Row};

/// The migrations, oldest first; their position is their version, from 1.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_start.sql")];

/// Brings the schema up to date. Of several processes that try at once, one does it and the others find it done.
pub async fn migrate(pool: &SqlitePool) -> Result<(), Error> {
    let doing = "bringing the schema up to date";
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(Error::unavailable(doing))?;
    let found: i64 = sqlx::query("PRAGMA user_version")
        .fetch_one(&mut *transaction)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(Error::unavailable(doing))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(Error::NewerSchema { found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute(sqlx::raw_sql(*migration)).await.map_err(Error::unavailable(doing))?;
    }
    let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}"));
    transaction.execute(sqlx::raw_sql(version)).await.map_err(Error::unavailable(doing))?;
    transaction.commit().await.map_err(Error::unavailable(doing))
}
