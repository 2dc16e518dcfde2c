//! Notices of the embedded registry: what its endpoints are still to be told, in order, each until it was taken.

use crate::database::Database;
use crate::error::Error;
use crate::outbox::retry::put_off;
use crate::outbox::status_refusal::StatusAnswer;
use crate::registry::audit::{NewChange, record};
use crate::sql::columns::{columns, get};
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;

/// A notice about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRegistryNotice {
    /// Name of the endpoint.
    pub endpoint: String,
    /// The event, as JSON.
    pub event: String,
}

columns! {
    /// A notice that waits to be sent.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RegistryNotice {
        /// Row to acknowledge.
        pub id: i64 = get "id",
        /// Name of the endpoint.
        pub endpoint: String = get "endpoint",
        /// The event, as JSON.
        pub event: String = get "event",
        /// How often it was sent without success.
        pub tries: i64 = get "tries",
        /// When it happened, in milliseconds since 1970.
        pub created_ms: i64 = get "created_ms",
        /// When it is due.
        pub due_ms: i64 = get "due_ms",
    }
}

impl Database {
    /// Records a change of the registry together with the notices of it.
    pub async fn record_and_tell(&self, change: &NewChange, notices: &[NewRegistryNotice]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        record(&mut transaction, change).await?;
        write(&mut transaction, notices).await?;
        transaction.commit("recording a change").await
    }

    /// Writes notices of what changes nothing.
    pub async fn tell_endpoints(&self, notices: &[NewRegistryNotice]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        write(&mut transaction, notices).await?;
        transaction.commit("writing notices").await
    }

    /// Returns the oldest notices of an endpoint, if the first is due: none overtakes another.
    pub async fn due_registry_notices(&self, endpoint: &str, limit: u32) -> Result<Vec<RegistryNotice>, Error> {
        let now = self.now_ms().await?;
        let text = format!(
            "SELECT {} FROM registry_notices WHERE endpoint = $1 ORDER BY id LIMIT {limit}",
            RegistryNotice::COLUMNS
        );
        let rows = sql("reading notices", text).bind(endpoint).all(self.read()).await?;
        let notices: Vec<_> = rows.iter().map(RegistryNotice::read).collect::<Result<_, Error>>()?;
        Ok(notices.into_iter().take_while(|notice| notice.due_ms <= now).collect())
    }

    /// Removes a notice that was taken or refused; another is due again later, until it has been tried often enough.
    pub async fn acknowledge_registry_notice(&self, id: i64, answer: &StatusAnswer) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        put_off(&mut transaction, "registry_notices", id, answer).await?;
        transaction.commit("acknowledging a notice").await
    }

    /// Removes the oldest notices of an endpoint beyond so many; returns how many.
    pub async fn trim_registry_notices(&self, endpoint: &str, keep: u32) -> Result<u64, Error> {
        let text = format!(
            "DELETE FROM registry_notices WHERE endpoint = $1 AND id <= (SELECT id FROM registry_notices \
             WHERE endpoint = $1 ORDER BY id DESC LIMIT 1 OFFSET {keep})"
        );
        sql("removing notices", text).bind(endpoint).run(self.write()).await
    }

    /// Removes the notices of endpoints that are not among those of the configuration.
    pub async fn forget_registry_endpoints(&self, known: &[String]) -> Result<(), Error> {
        let text = "SELECT DISTINCT endpoint FROM registry_notices";
        for row in sql("reading endpoints", text).all(self.read()).await? {
            let endpoint: String = row.get("endpoint")?;
            if !known.contains(&endpoint) {
                let text = "DELETE FROM registry_notices WHERE endpoint = $1";
                sql("removing notices", text).bind(&endpoint).run(self.write()).await?;
            }
        }
        Ok(())
    }
}

async fn write(transaction: &mut Transaction, notices: &[NewRegistryNotice]) -> Result<(), Error> {
    for notice in notices {
        let text = "INSERT INTO registry_notices (endpoint, event, created_ms, due_ms) VALUES ($1, $2, $3, $3)";
        let statement = sql("writing a notice", text).bind(&notice.endpoint).bind(&notice.event);
        statement.bind(transaction.now_ms).run(transaction.on()).await?;
    }
    Ok(())
}
