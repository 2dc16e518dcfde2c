//! The connections that a statement can be executed on.

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

/// A connection, or a pool that has one.
pub(crate) enum Target<'a> {
    SqlitePool(&'a SqlitePool),
    Sqlite(&'a mut SqliteConnection),
    PostgresPool(&'a PgPool),
    Postgres(&'a mut PgConnection),
    /// The transaction has ended, and nothing can be executed in it.
    Ended,
}
