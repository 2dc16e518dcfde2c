//! A connection taken from its pool for a transaction, which it never goes back with.
//!
//! SQLite ends a transaction by itself when the disk is full or broken, and a lost answer leaves it unknown whether there
//! still is one. So the state of a connection is believed only after a BEGIN, COMMIT or ROLLBACK that succeeded; after one
//! that failed, or was not waited for, the connection is closed and the pool opens another.

use crate::error::Error;
use crate::sql::faults::Faults;
use crate::sql::limits::limited;
use crate::sql::statement::On;
use crate::sql::target::Target;
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite};
use tokio::runtime::Handle;

/// A connection of either database.
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    /// Returns what statements are executed on.
    pub(crate) fn on<'a>(&'a mut self, faults: &'a Faults) -> On<'a> {
        let target = match self {
            Connection::Sqlite(connection) => Target::Sqlite(connection),
            Connection::Postgres(connection) => Target::Postgres(connection),
        };
        On { target, faults }
    }

    /// Begins a transaction. On SQLite it takes the write lock at once, so it cannot fail half-way for want of it.
    pub(crate) async fn begin(self, doing: &'static str, faults: &Faults) -> Result<Connection, Error> {
        let begin = match &self {
            Connection::Sqlite(_) => "BEGIN IMMEDIATE",
            Connection::Postgres(_) => "BEGIN",
        };
        InDoubt(Some(self)).change(doing, begin, faults).await
    }

    /// Makes what was written last; on disk when it returns.
    pub(crate) async fn commit(self, doing: &'static str, faults: &Faults) -> Result<(), Error> {
        InDoubt(Some(self)).change(doing, "COMMIT", faults).await.map(drop)
    }

    /// Undoes what was written, without anybody waiting for it.
    pub(crate) fn roll_back(self, faults: Faults) {
        let connection = InDoubt(Some(self));
        // Without a runtime nobody can wait for the answer, and the connection is closed.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = connection.change("rolling a transaction back", "ROLLBACK", &faults).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "the connection is closed");
            }
        });
    }

    fn close(&mut self) {
        match self {
            Connection::Sqlite(connection) => connection.close_on_drop(),
            Connection::Postgres(connection) => connection.close_on_drop(),
        }
    }
}

/// A connection of which it is not known whether it is in a transaction; dropped, it is closed.
struct InDoubt(Option<Connection>);

impl InDoubt {
    async fn change(
        mut self,
        doing: &'static str,
        statement: &'static str,
        faults: &Faults,
    ) -> Result<Connection, Error> {
        let closed = || Error::unavailable(doing)(sqlx::Error::WorkerCrashed);
        let connection = self.0.as_mut().ok_or_else(closed)?;
        let changed = async {
            let mut on = connection.on(faults);
            faults.before(&mut on.target).await?;
            match on.target {
                Target::Sqlite(connection) => sqlx::raw_sql(statement).execute(connection).await.map(drop)?,
                Target::Postgres(connection) => sqlx::raw_sql(statement).execute(connection).await.map(drop)?,
                Target::SqlitePool(_) | Target::PostgresPool(_) | Target::Ended => {}
            }
            faults.after().await
        };
        limited(doing, changed).await?;
        self.0.take().ok_or_else(closed)
    }
}

impl Drop for InDoubt {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close();
        }
    }
}
