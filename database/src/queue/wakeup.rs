//! Waiting for work.

use crate::database::Database;
use crate::error::Error;
use crate::sql::build_changes::BuildsWatch;
use crate::sql::connect::Store;
use crate::sql::statement::sql;
use crate::sql::states::{FETCH_OPEN, QUERY_OPEN, QUEUED};
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

/// How often PostgreSQL is asked while the connection is lost on which it announces work.
const SERVER_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A watch on builds, rules fetches and queries of workers, from [`Database::watch_work`] until it is dropped.
#[derive(Debug)]
pub struct WorkWatch {
    database: Database,
    announced: Receiver<()>,
    /// Another process announces nothing where the database is a file: every change of it counts.
    changed: Option<BuildsWatch>,
    state: State,
}

/// How much is known of the queue.
#[derive(Debug, Clone, Copy)]
enum State {
    /// There may be work.
    Unknown,
    /// There is none before this moment, unless it is announced.
    Idle(Option<Instant>),
}

impl Database {
    /// Watches for work of any process. While nothing happens, [`WorkWatch::wait`] executes no statement.
    pub fn watch_work(&self) -> WorkWatch {
        let changed = match &self.store {
            Store::Sqlite { .. } => Some(self.watch_builds()),
            Store::Postgres { pool, .. } => {
                self.listener.start(pool, &self.work, &self.changes);
                None
            }
        };
        WorkWatch { database: self.clone(), announced: self.work.subscribe(), changed, state: State::Unknown }
    }

    /// Tells whether something can be claimed, or from when on a build can be whose back-off has not ended.
    async fn next_work(&self) -> Result<(bool, Option<Instant>), Error> {
        let doing = "looking for work";
        let text = format!(
            "SELECT EXISTS (SELECT 1 FROM builds WHERE state = {QUEUED}) AS has_builds, \
             EXISTS (SELECT 1 FROM rules_fetches WHERE state = {FETCH_OPEN}) \
             OR EXISTS (SELECT 1 FROM worker_queries WHERE state = {QUERY_OPEN}) AS has_others"
        );
        let row = sql(doing, text).one(self.read()).await?;
        let has_builds = row.get("has_builds")?;
        if row.get("has_others")? || has_builds && self.has_ready_build().await? {
            return Ok((true, None));
        }
        if !has_builds {
            return Ok((false, None));
        }
        let now = self.now_ms().await?;
        let text = format!(
            "SELECT MIN(not_before_ms) AS due_ms FROM builds WHERE state = {QUEUED} AND NOT awaits_approval \
             AND not_before_ms > $1"
        );
        let due: Option<i64> = sql(doing, text).bind(now).one(self.read()).await?.get("due_ms")?;
        Ok((false, due.map(|due| Instant::now() + Duration::from_millis((due - now).unsigned_abs()))))
    }
}

impl WorkWatch {
    /// Waits until something can be claimed, or `limit` is over; tells which.
    pub async fn wait(&mut self, limit: Duration) -> Result<bool, Error> {
        let until = Instant::now() + limit;
        loop {
            let due = match self.state {
                State::Idle(due) => due,
                State::Unknown => {
                    // An announcement after this line makes it ask again, so nothing slips through.
                    self.announced.borrow_and_update();
                    self.changed.as_mut().map(BuildsWatch::has_changed);
                    let (is_ready, due) = self.database.next_work().await?;
                    if is_ready {
                        return Ok(true);
                    }
                    let due = due.into_iter().chain(self.next_poll()).min();
                    self.state = State::Idle(due);
                    due
                }
            };
            if self.is_woken(due.map_or(until, |due| due.min(until))).await || due.is_some_and(is_over) {
                self.state = State::Unknown;
            }
            if is_over(until) && (matches!(self.state, State::Idle(_)) || limit.is_zero()) {
                return Ok(false);
            }
        }
    }

    /// Returns when the database is asked although it announced nothing.
    fn next_poll(&self) -> Option<Instant> {
        let hears_all = self.changed.is_some() || self.database.work.is_listening();
        (!hears_all).then(|| Instant::now() + SERVER_POLL_INTERVAL)
    }

    /// Waits for an announcement; tells whether one came before `until`.
    async fn is_woken(&mut self, until: Instant) -> bool {
        let changed = async {
            match &mut self.changed {
                Some(changed) => changed.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            announced = self.announced.changed() => announced.is_ok(),
            () = changed => true,
            () = sleep_until(until) => false,
        }
    }
}

fn is_over(moment: Instant) -> bool {
    moment <= Instant::now()
}
