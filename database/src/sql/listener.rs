//! Announcements of other processes that PostgreSQL passes on.

use crate::sql::limits::WORK;
use sqlx::postgres::{PgListener, PgPool};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long to wait before a lost connection is made again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// Listens to PostgreSQL's announcements, from the first time that somebody waits until the database is dropped.
#[derive(Debug, Default)]
pub struct JobListener(OnceLock<JoinHandle<()>>);

impl JobListener {
    /// Starts to listen, unless that was done before.
    pub fn start(&self, pool: &PgPool, work: &Arc<Notify>) {
        self.0.get_or_init(|| tokio::spawn(listen(pool.clone(), work.clone())));
    }
}

impl Drop for JobListener {
    fn drop(&mut self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

/// Listens again whenever the connection is lost.
async fn listen(pool: PgPool, work: Arc<Notify>) {
    loop {
        if let Err(error) = listen_until_lost(&pool, &work).await {
            tracing::debug!(%error, "LISTEN connection lost; polling the queue instead");
        }
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

/// Wakes waiting workers at each announcement, and once at the start: one may have come while nobody listened.
async fn listen_until_lost(pool: &PgPool, work: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(WORK).await?;
    loop {
        work.notify_waiters();
        listener.try_recv().await?;
    }
}
