//! Waiting for a change of one build or of all, without asking for it again and again.

use crate::database::Database;
use crate::model::build_id::BuildId;
use crate::sql::build_changes::{BuildWatch, BuildsWatch};
use crate::sql::connect::Store;

impl Database {
    /// Watches a build. [`BuildWatch::changed`] ends when its state, steps or log may have changed, whichever process wrote
    /// that: on PostgreSQL every transaction that changes a build announces it (`NOTIFY`), on SQLite the file itself is
    /// polled, once for all watches of this process. A watch that nothing happens to executes no statement.
    ///
    /// Begin the watch before reading the build, so that no change slips through in between:
    /// `let mut watch = database.watch_build(&id); loop { read(); watch.changed().await; }`
    pub fn watch_build(&self, id: &BuildId) -> BuildWatch {
        self.listen();
        self.changes.watch(&self.store, id)
    }

    /// Watches all builds. [`BuildsWatch::changed`] ends when one of them may have changed; it may end for other changes too.
    pub fn watch_builds(&self) -> BuildsWatch {
        self.listen();
        self.changes.watch_all(&self.store)
    }

    fn listen(&self) {
        if let Store::Postgres { pool, .. } = &self.store {
            self.listener.start(pool, &self.work, &self.changes);
        }
    }
}
