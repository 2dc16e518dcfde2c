//! A transaction that writes, with the database's own time.

use crate::error::Error;
use crate::sql::announcements::Announcements;
use crate::sql::connection::Connection;
use crate::sql::faults::Faults;
use crate::sql::limits::{BUILDS, WORK};
use crate::sql::statement::{On, sql};
use crate::sql::target::Target;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether another's migration is over.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A transaction that writes. Dropped, it leaves nothing.
pub(crate) struct Transaction {
    /// There until the transaction ends.
    connection: Option<Connection>,
    faults: Faults,
    /// The database's time, in milliseconds since 1970.
    pub now_ms: i64,
    work: Arc<Announcements>,
    announces: bool,
    /// Builds that this transaction changes.
    changed: Vec<String>,
}

impl Transaction {
    /// Begins a transaction on `connection`; `work` wakes those in this process who wait for work.
    pub(crate) async fn begin(
        connection: Connection,
        faults: &Faults,
        work: &Arc<Announcements>,
    ) -> Result<Self, Error> {
        let connection = Some(connection.begin("beginning a transaction", faults).await?);
        Ok(Transaction {
            connection,
            faults: faults.clone(),
            now_ms: 0,
            work: work.clone(),
            announces: false,
            changed: Vec::new(),
        })
    }

    /// Returns what statements of this transaction are executed on.
    pub(crate) fn on(&mut self) -> On<'_> {
        match &mut self.connection {
            Some(connection) => connection.on(&self.faults),
            None => On { target: Target::Ended, faults: &self.faults },
        }
    }

    fn is_on_server(&self) -> bool {
        matches!(self.connection, Some(Connection::Postgres(_)))
    }

    /// Lets others who do the same wait until this transaction ends. SQLite has one writer anyway.
    pub(crate) async fn alone(&mut self, what: Alone) -> Result<(), Error> {
        let doing = "waiting for another transaction";
        match what {
            _ if !self.is_on_server() => {}
            Alone::Accept => {
                sql(doing, "SELECT pg_advisory_xact_lock($1)").bind(what as i64).all(self.on()).await?;
            }
            // A migration may take longer than a statement may wait.
            Alone::Migrate => loop {
                let row = sql(doing, "SELECT pg_try_advisory_xact_lock($1) AS is_alone")
                    .bind(what as i64)
                    .one(self.on())
                    .await?;
                if row.get("is_alone")? {
                    break;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            },
        }
        Ok(())
    }

    /// Says to waiting workers that there is work, once it can be seen.
    pub(crate) fn announce_work(&mut self) {
        self.announces = true;
    }

    /// Announces to those who watch a build that it changed, once that can be seen.
    pub(crate) fn announce_build(&mut self, build: &str) {
        // Watchers of a file see for themselves that it was written to.
        if self.is_on_server() && !self.changed.iter().any(|known| known == build) {
            self.changed.push(build.to_owned());
        }
    }

    /// Makes what was written last; on disk when it returns.
    pub(crate) async fn commit(mut self, doing: &'static str) -> Result<(), Error> {
        if self.announces && self.is_on_server() {
            sql(doing, "SELECT pg_notify($1, '')").bind(WORK).all(self.on()).await?;
        }
        for build in std::mem::take(&mut self.changed) {
            sql(doing, "SELECT pg_notify($1, $2)").bind(BUILDS).bind(build).all(self.on()).await?;
        }
        if let Some(connection) = self.connection.take() {
            connection.commit(doing, &self.faults).await?;
        }
        if self.announces {
            self.work.announce();
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.roll_back(self.faults.clone());
        }
    }
}

/// Work of one transaction at a time; the numbers are slipway's own among PostgreSQL's advisory locks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Alone {
    /// Changing the schema.
    Migrate = 0x736c_0001,
    /// Accepting: it counts up, and counts are given out in the order in which they are stored.
    Accept = 0x736c_0002,
}
