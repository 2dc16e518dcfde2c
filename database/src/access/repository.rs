//! Repositories as data: documents whose meaning is the service's, with versions, so that nobody overwrites what they
//! have not seen.

use crate::access::sealing::{open_document, seal_document};
use crate::database::Database;
use crate::error::Error;
use crate::model::build::ids;
use crate::queue::cancel::cancel_one;
use crate::queue::enqueue::count;
use crate::sql::statement::{Row, sql};
use crate::sql::states::UNENDED;
use crate::tags::pull_tag;
/// The counter of the versions of a repository's document. It outlives the document, so a version never comes again.
const VERSIONS: &str = "document";

/// A repository as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRecord {
    /// `namespace/name`.
    pub name: String,
    /// Its document.
    pub document: String,
    /// Grows with every change; good for `ETag`.
    pub version: i64,
    /// When it was changed, in milliseconds since 1970.
    pub changed_ms: i64,
}

/// The result of storing a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is stored, with this version.
    Stored(i64),
    /// It was made for another version than the present one; nothing was stored.
    Conflict {
        /// The present version; `None` if there is no such repository.
        present: Option<i64>,
    },
}

impl Database {
    /// Returns all repositories, by name.
    pub async fn repositories(&self) -> Result<Vec<RepositoryRecord>, Error> {
        let text = "SELECT name, document_json, version, changed_ms FROM repositories ORDER BY name";
        sql("reading the repositories", text).all(self.read()).await?.iter().map(record).collect()
    }

    /// Returns the names of all repositories.
    pub async fn repository_names(&self) -> Result<Vec<String>, Error> {
        let rows =
            sql("reading the repositories", "SELECT name FROM repositories ORDER BY name").all(self.read()).await?;
        rows.iter().map(|row| row.get("name")).collect()
    }

    /// Returns the repository `name`.
    pub async fn repository(&self, name: &str) -> Result<Option<RepositoryRecord>, Error> {
        let text = "SELECT name, document_json, version, changed_ms FROM repositories WHERE name = $1";
        sql("reading a repository", text).bind(name).optional(self.read()).await?.as_ref().map(record).transpose()
    }

    /// Tells whether there is a repository `name`; a worker may ask that, too.
    pub async fn has_repository(&self, name: &str) -> Result<bool, Error> {
        let text = "SELECT name FROM repositories WHERE name = $1";
        Ok(sql("looking for a repository", text).bind(name).optional(self.read()).await?.is_some())
    }

    /// Stores a repository's document. `expected` is the version that it replaces, 0 for none; without one it replaces
    /// whatever is there.
    pub async fn put_repository(&self, name: &str, document: &str, expected: Option<i64>) -> Result<Put, Error> {
        let doing = "storing a repository";
        let mut transaction = self.begin().await?;
        // Counting locks the counter, so of two changes at once the second sees the first.
        let version = count(&mut transaction, name, VERSIONS, 1).await?;
        let row = sql(doing, "SELECT version FROM repositories WHERE name = $1")
            .bind(name)
            .optional(transaction.on())
            .await?;
        let present: Option<i64> = row.map(|row| row.get("version")).transpose()?;
        if expected.is_some_and(|expected| expected != present.unwrap_or(0)) {
            return Ok(Put::Conflict { present });
        }
        sql(
            doing,
            "INSERT INTO repositories (name, document_json, version, changed_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET document_json = excluded.document_json, version = excluded.version, \
             changed_ms = excluded.changed_ms",
        )
        .bind(name)
        .bind(seal_document(self.key.as_ref(), name, document)?)
        .bind(version)
        .bind(transaction.now_ms)
        .run(transaction.on())
        .await?;
        transaction.commit(doing).await?;
        Ok(Put::Stored(version))
    }

    /// Removes a repository with its secrets, ends its queued builds and asks for the end of those that run. Its
    /// builds stay on record. Tells whether there was one.
    pub async fn delete_repository(&self, name: &str) -> Result<bool, Error> {
        let doing = "removing a repository";
        let mut transaction = self.begin_accepting().await?;
        let removed = sql(doing, "DELETE FROM repositories WHERE name = $1").bind(name).run(transaction.on()).await?;
        if removed == 0 {
            return Ok(false);
        }
        sql(doing, "DELETE FROM secrets WHERE repository = $1").bind(name).run(transaction.on()).await?;
        sql(doing, "DELETE FROM webhooks WHERE repository = $1").bind(name).run(transaction.on()).await?;
        sql(doing, "DELETE FROM told_refs WHERE repository = $1").bind(name).run(transaction.on()).await?;
        sql(doing, "DELETE FROM pull_comments WHERE repository = $1").bind(name).run(transaction.on()).await?;
        sql(doing, "DELETE FROM forge_repositories WHERE repository = $1").bind(name).run(transaction.on()).await?;
        sql(doing, "DELETE FROM own_schedules WHERE repository = $1").bind(name).run(transaction.on()).await?;
        pull_tag::close_all(&mut transaction, name).await?;
        let open =
            sql(doing, format!("SELECT id FROM builds WHERE repository = $1 AND state IN ({UNENDED}) ORDER BY id"))
                .bind(name)
                .all(transaction.on())
                .await?;
        for id in ids(&open)? {
            cancel_one(&mut transaction, &id).await?;
        }
        transaction.commit(doing).await?;
        Ok(true)
    }
}

fn record(row: &Row) -> Result<RepositoryRecord, Error> {
    let name: String = row.get("name")?;
    let document = open_document(&name, row.get("document_json")?);
    Ok(RepositoryRecord { name, document, version: row.get("version")?, changed_ms: row.get("changed_ms")? })
}
