//! Room that a database file keeps for itself on a disk that others fill.
//!
//! A commit is written to the log of SQLite first, and later to the file. Both keep the blocks that they once had: the log is
//! written from its start again after each checkpoint, and the file uses its free pages first. So both are made larger than
//! they need to be while the disk has room, and what is stored while it is full finds blocks that nobody else could take.

use crate::database::Database;
use crate::error::Error;
use crate::sql::build_changes::log_of;
use crate::sql::connect::Store;
use crate::sql::statement::{Statement, sql};
use std::path::Path;

/// Bytes that one transaction writes: nobody waits for it for long.
const PIECE: u64 = 512 * 1024;
/// Pages after which SQLite makes a checkpoint by itself.
const CHECKPOINT: &str = "PRAGMA wal_autocheckpoint = 1000";
/// The activity that errors name.
const DOING: &str = "setting room aside";

impl Database {
    /// Returns the file that this database is, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.store {
            Store::Sqlite { file, .. } => Some(file),
            Store::Postgres { .. } => None,
        }
    }

    /// Keeps `bytes` in the file and as many in its log, unless at least half of that is there; tells whether anything had to
    /// be done.
    pub async fn keep_reserve(&self, bytes: u64) -> Result<bool, Error> {
        let Some(file) = self.file() else { return Ok(false) };
        let log = std::fs::metadata(log_of(file)).map_or(0, |known| known.len());
        if log >= bytes / 2 && self.free_bytes().await? >= bytes / 2 {
            return Ok(false);
        }
        let filled = self.grow(bytes).await;
        self.write_reserve(sql(DOING, "DELETE FROM reserve")).await?;
        self.checkpoint().await?;
        filled.map(|()| true)
    }

    /// Makes the file larger, then its log. Neither leaves much for one checkpoint to copy: on a slow disk, everything that
    /// is stored meanwhile would wait for it.
    async fn grow(&self, bytes: u64) -> Result<(), Error> {
        for _ in 0..bytes.div_ceil(PIECE) {
            let text = "INSERT INTO reserve (content) VALUES (zeroblob($1))";
            self.write_reserve(sql(DOING, text).bind(PIECE as i64)).await?;
            self.checkpoint().await?;
        }
        // The log grows for as long as nothing of it is written to the file.
        sql(DOING, "PRAGMA wal_autocheckpoint = 0").all(self.write()).await?;
        let grown = self.grow_log(bytes).await;
        sql(DOING, CHECKPOINT).all(self.write()).await?;
        grown
    }

    /// Overwrites the same pages again and again: each time the log holds them once more, and a checkpoint copies only the
    /// last of them.
    async fn grow_log(&self, bytes: u64) -> Result<(), Error> {
        for _ in 0..bytes.div_ceil(PIECE) {
            let text = "UPDATE reserve SET content = randomblob($1) WHERE id = (SELECT min(id) FROM reserve)";
            self.write_reserve(sql(DOING, text).bind(PIECE as i64)).await?;
        }
        Ok(())
    }

    async fn write_reserve(&self, statement: Statement) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        statement.run(transaction.on()).await?;
        transaction.commit(DOING).await
    }

    async fn checkpoint(&self) -> Result<(), Error> {
        sql(DOING, "PRAGMA wal_checkpoint(PASSIVE)").all(self.write()).await.map(drop)
    }

    /// Returns the bytes of the file's free pages.
    async fn free_bytes(&self) -> Result<u64, Error> {
        let mut bytes = 1;
        for pragma in ["freelist_count", "page_size"] {
            let row = sql("looking for free pages", format!("PRAGMA {pragma}")).one(self.read()).await?;
            bytes *= u64::try_from(row.get::<i64>(pragma)?).unwrap_or(0);
        }
        Ok(bytes)
    }
}
