//! Announcements of other processes that PostgreSQL passes on.

use crate::sql::announcements::Announcements;
use crate::sql::build_changes::BuildChanges;
use crate::sql::limits::{BUILDS, WORK};
use sqlx::postgres::{PgListener, PgPool};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long to wait before a lost connection is made again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// Listens to PostgreSQL's announcements, from the first time that somebody waits until the database is dropped.
#[derive(Debug, Default)]
pub(crate) struct JobListener(OnceLock<JoinHandle<()>>);

impl JobListener {
    /// Starts to listen, unless that was done before.
    pub(crate) fn start(&self, pool: &PgPool, work: &Arc<Announcements>, changes: &Arc<BuildChanges>) {
        self.0.get_or_init(|| tokio::spawn(listen(pool.clone(), work.clone(), changes.clone())));
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
async fn listen(pool: PgPool, work: Arc<Announcements>, changes: Arc<BuildChanges>) {
    loop {
        if let Err(error) = listen_until_lost(&pool, &work, &changes).await {
            tracing::debug!(%error, "LISTEN connection lost; polling the queue instead");
        }
        work.set_listening(false);
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

/// Wakes waiting workers and watchers of builds at each announcement, and all of them at the start: announcements may have
/// come while nobody listened.
async fn listen_until_lost(pool: &PgPool, work: &Announcements, changes: &BuildChanges) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([WORK, BUILDS]).await?;
    work.set_listening(true);
    changes.mark_all();
    while let Some(announced) = listener.try_recv().await? {
        match announced.channel() {
            BUILDS => changes.mark(announced.payload()),
            _ => {
                work.announce();
                changes.mark_new();
            }
        }
    }
    Ok(())
}
