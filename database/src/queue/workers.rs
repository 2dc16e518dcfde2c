//! Workers: which are there, and how many builds each runs at once.

use crate::database::Database;
use crate::error::Error;
use crate::model::json::to_json;
use crate::queue::switches::drained;
use crate::sql::columns::{columns, get, optional_document};
use crate::sql::statement::sql;
use crate::sql::states::{FETCH_CLAIMED, FETCH_OPEN};
use serde::{Deserialize, Serialize};

/// A worker that was not seen for so long is gone.
const WORKER_TTL_MS: i64 = 200_000;

/// The description that a worker gives of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerInfo {
    /// Version of its program.
    pub version: String,
    /// Its platform.
    pub platform: String,
    /// Bytes of the disk with its data directory.
    pub disk_bytes: u64,
    /// Bytes of that disk that are free.
    pub disk_free_bytes: u64,
    /// Protections of builds that its machine does not have.
    pub unprotected: Vec<String>,
}

columns! {
    /// A worker process.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct WorkerRecord {
        /// Its name.
        pub name: String = get "name",
        /// How many builds it runs at once.
        pub slots: i64 = get "slots",
        /// When it was last heard of, in milliseconds since 1970.
        pub seen_ms: i64 = get "seen_ms",
        /// Its description; `None` for one of an older version.
        pub info: Option<WorkerInfo> = optional_document "info_json",
        /// Whether it gets no more builds.
        pub is_drained: bool = get "is_drained" as "EXISTS (SELECT 1 FROM switches s WHERE s.name = 'drained/' || workers.name AND s.is_on)",
    }
}

impl Database {
    /// Says that a worker is there and how many builds it runs at once; to be said again within three minutes.
    pub async fn register_worker(&self, name: &str, slots: i64, info: &WorkerInfo) -> Result<(), Error> {
        let now = self.now_ms().await?;
        sql(
            "registering a worker",
            "INSERT INTO workers (name, slots, seen_ms, info_json) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, seen_ms = excluded.seen_ms, \
             info_json = excluded.info_json",
        )
        .bind(name)
        .bind(slots)
        .bind(now)
        .bind(to_json(info)?)
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Returns the workers that are there.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, Error> {
        let since = self.now_ms().await? - WORKER_TTL_MS;
        let text = format!("SELECT {} FROM workers WHERE seen_ms > $1 ORDER BY name", WorkerRecord::COLUMNS);
        let rows = sql("reading the workers", text).bind(since).all(self.read()).await?;
        rows.iter().map(WorkerRecord::read).collect()
    }

    /// Tells whether all who use this database are on one machine, because it is a file.
    pub fn is_of_one_machine(&self) -> bool {
        self.store.is_sqlite()
    }

    /// Tells whether a worker has something that another may have to take back, or is about to claim a rules fetch.
    pub async fn has_claims(&self) -> Result<bool, Error> {
        let text = format!(
            "SELECT EXISTS (SELECT 1 FROM builds WHERE worker IS NOT NULL) \
             OR EXISTS (SELECT 1 FROM rules_fetches WHERE state IN ({FETCH_OPEN}, {FETCH_CLAIMED})) AS has_claims"
        );
        sql("looking for claims", text).one(self.read()).await?.get("has_claims")
    }

    pub(crate) async fn forget_worker(&self, name: &str) -> Result<(), Error> {
        sql("forgetting a worker", "DELETE FROM workers WHERE name = $1").bind(name).run(self.write()).await?;
        let text = "DELETE FROM switches WHERE name = $1";
        sql("forgetting a worker", text).bind(drained(name)).run(self.write()).await?;
        Ok(())
    }
}
