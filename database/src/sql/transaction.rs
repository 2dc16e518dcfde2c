//! A transaction that writes, with the database's own time.

use super::{On, WORK, limited, sql};
use crate::Error;
use sqlx::{Postgres, Sqlite};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often it is looked whether another's migration is over.
const LOOK: Duration = Duration::from_millis(50);

/// A transaction that writes. Dropped, it leaves nothing.
pub struct Transaction {
    kind: Kind,
    /// The database's time, in milliseconds since 1970.
    pub now_ms: i64,
    work: Arc<Notify>,
    announces: bool,
}

/// The transaction of either database.
pub enum Kind {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    /// Wraps a transaction that has begun; `work` wakes those in this process who wait for work.
    pub fn new(kind: Kind, now_ms: i64, work: Arc<Notify>) -> Self {
        Transaction { kind, now_ms, work, announces: false }
    }

    /// Returns what statements of this transaction are executed on.
    pub fn on(&mut self) -> On<'_> {
        match &mut self.kind {
            Kind::Sqlite(transaction) => On::Sqlite(transaction),
            Kind::Postgres(transaction) => On::Postgres(transaction),
        }
    }

    /// Lets others who do the same wait until this transaction ends. SQLite has one writer anyway.
    pub async fn alone(&mut self, what: Alone) -> Result<(), Error> {
        let doing = "waiting for another transaction";
        match (&self.kind, what) {
            (Kind::Sqlite(_), _) => {}
            (Kind::Postgres(_), Alone::Accept) => {
                sql(doing, "SELECT pg_advisory_xact_lock($1)").bind(what as i64).all(self.on()).await?;
            }
            // A migration may take longer than a statement may wait.
            (Kind::Postgres(_), Alone::Migrate) => loop {
                let row = sql(doing, "SELECT pg_try_advisory_xact_lock($1)").bind(what as i64).one(self.on()).await?;
                if row.get(0)? {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            },
        }
        Ok(())
    }

    /// Says to waiting workers that there is work, once it can be seen.
    pub fn announce_work(&mut self) {
        self.announces = true;
    }

    /// Makes what was written last; on disk when it returns.
    pub async fn commit(mut self, doing: &'static str) -> Result<(), Error> {
        if self.announces && matches!(self.kind, Kind::Postgres(_)) {
            sql(doing, "SELECT pg_notify($1, '')").bind(WORK).all(self.on()).await?;
        }
        match self.kind {
            Kind::Sqlite(transaction) => limited(doing, transaction.commit()).await?,
            Kind::Postgres(transaction) => limited(doing, transaction.commit()).await?,
        }
        if self.announces {
            self.work.notify_waiters();
        }
        Ok(())
    }
}

/// What is done by one transaction at a time; the numbers are slipway's own among PostgreSQL's advisory locks.
#[derive(Debug, Clone, Copy)]
pub enum Alone {
    /// Changing the schema.
    Migrate = 0x736c_0001,
    /// Accepting: it counts up, and counts are given out in the order in which they are stored.
    Accept = 0x736c_0002,
}
