//! The audit log: who did what. It is written after the deed, and never holds a secret.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::{Row, filtered, sql};

const ENTRY: &str = "id, at_ms, actor, address, action, repository, subject";

/// An entry about to be written.
#[derive(Debug, Clone, Default)]
pub struct NewAuditEntry {
    /// Name of who did it.
    pub actor: String,
    /// The address that the request came from.
    pub address: String,
    /// The deed, in a stable word: `sign_in`, `build_cancelled`.
    pub action: &'static str,
    /// The repository, if it was done to one.
    pub repository: String,
    /// The thing that it was done to: a build, a token, an account.
    pub subject: String,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Number, rising with time.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Name of who did it.
    pub actor: String,
    /// The address that the request came from.
    pub address: String,
    /// The deed.
    pub action: String,
    /// The repository; empty if it was not done to one.
    pub repository: String,
    /// The thing that it was done to.
    pub subject: String,
}

/// Which entries a list holds.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Those of one actor.
    pub actor: Option<String>,
    /// Those of one deed.
    pub action: Option<String>,
    /// Those of one repository.
    pub repository: Option<String>,
    /// Those before this one.
    pub before: Option<i64>,
}

impl Database {
    /// Writes an entry.
    pub async fn write_audit(&self, entry: &NewAuditEntry) -> Result<(), Error> {
        let now = self.now_ms().await?;
        let text = "INSERT INTO audit_log (at_ms, actor, address, action, repository, subject) VALUES ($1, $2, $3, $4, $5, $6)";
        let statement = sql("writing the audit log", text).bind(now).bind(&entry.actor).bind(&entry.address);
        let statement = statement.bind(entry.action).bind(&entry.repository).bind(&entry.subject);
        statement.run(self.write()).await.map(drop)
    }

    /// Returns entries, the newest first.
    pub async fn audit_log(&self, filter: &AuditFilter, limit: i64) -> Result<Vec<AuditEntry>, Error> {
        let text = format!("SELECT {ENTRY} FROM audit_log WHERE 1 = 1");
        let conditions = [
            ("actor = ?", filter.actor.clone().map(Into::into)),
            ("action = ?", filter.action.clone().map(Into::into)),
            ("repository = ?", filter.repository.clone().map(Into::into)),
            ("id < ?", filter.before.map(Into::into)),
        ];
        let statement = filtered("reading the audit log", text, conditions);
        let rows = statement.then(&format!(" ORDER BY id DESC LIMIT {limit}")).all(self.read()).await?;
        rows.iter().map(entry).collect()
    }
}

fn entry(row: &Row) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        id: row.get("id")?,
        at_ms: row.get("at_ms")?,
        actor: row.get("actor")?,
        address: row.get("address")?,
        action: row.get("action")?,
        repository: row.get("repository")?,
        subject: row.get("subject")?,
    })
}
