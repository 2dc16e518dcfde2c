//! The audit record of the embedded registry: who pushed and deleted what.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::{Row, filtered, sql};
use crate::sql::transaction::Transaction;

const CHANGE: &str = "id, at_ms, account, address, action, repository, reference, digest";

/// A change about to be recorded.
#[derive(Debug, Clone, Default)]
pub struct NewChange {
    /// The account; empty if nobody logged in.
    pub account: String,
    /// The address that the request came from.
    pub address: String,
    /// `push`, `delete`, `retention` or `restore`.
    pub action: &'static str,
    /// The repository.
    pub repository: String,
    /// The tag or digest that was named.
    pub reference: String,
    /// Digest of the manifest or blob; empty where a tag was removed.
    pub digest: String,
}

/// A change as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Number, rising with time.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The account; empty if nobody logged in.
    pub account: String,
    /// The address that the request came from.
    pub address: String,
    /// `push`, `delete`, `retention` or `restore`.
    pub action: String,
    /// The repository.
    pub repository: String,
    /// The tag or digest that was named.
    pub reference: String,
    /// Digest of the manifest or blob.
    pub digest: String,
}

/// Which changes a list holds.
#[derive(Debug, Clone, Default)]
pub struct ChangeFilter {
    /// Those of one repository.
    pub repository: Option<String>,
    /// Those of one account.
    pub account: Option<String>,
    /// Those before this one.
    pub before: Option<i64>,
}

impl Database {
    /// Records a change.
    pub async fn record_change(&self, change: &NewChange) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        record(&mut transaction, change).await?;
        transaction.commit("recording a change").await
    }

    /// Returns changes, the newest first.
    pub async fn changes(&self, filter: &ChangeFilter, limit: i64) -> Result<Vec<Change>, Error> {
        let text = format!("SELECT {CHANGE} FROM registry_changes WHERE 1 = 1");
        let conditions = [
            ("repository = ?", filter.repository.clone().map(Into::into)),
            ("account = ?", filter.account.clone().map(Into::into)),
            ("id < ?", filter.before.map(Into::into)),
        ];
        let statement = filtered("reading changes", text, conditions);
        let rows = statement.then(&format!(" ORDER BY id DESC LIMIT {limit}")).all(self.read()).await?;
        rows.iter().map(change).collect()
    }
}

/// Records a change in a transaction.
pub(crate) async fn record(transaction: &mut Transaction, change: &NewChange) -> Result<(), Error> {
    let text = "INSERT INTO registry_changes (at_ms, account, address, action, repository, reference, digest) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let statement = sql("recording a change", text).bind(transaction.now_ms);
    let statement = statement.bind(&change.account).bind(&change.address).bind(change.action);
    let statement = statement.bind(&change.repository).bind(&change.reference).bind(&change.digest);
    statement.run(transaction.on()).await.map(drop)
}

fn change(row: &Row) -> Result<Change, Error> {
    Ok(Change {
        id: row.get("id")?,
        at_ms: row.get("at_ms")?,
        account: row.get("account")?,
        address: row.get("address")?,
        action: row.get("action")?,
        repository: row.get("repository")?,
        reference: row.get("reference")?,
        digest: row.get("digest")?,
    })
}
