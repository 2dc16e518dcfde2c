//! Notifications of the embedded registry: what its endpoints are still to be told, in order, each until it was taken.

use crate::database::Database;
use crate::error::Error;
use crate::outbox::retry::put_off;
use crate::outbox::status_refusal::StatusAnswer;
use crate::registry::audit::{NewChange, record};
use crate::sql::columns::{columns, get};
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;

/// A notification about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRegistryNotification {
    /// Name of the endpoint.
    pub endpoint: String,
    /// The event, as JSON.
    pub event: String,
}

columns! {
    /// A notification that waits to be sent.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RegistryNotification {
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
    /// Records a change of the registry together with the notifications of it.
    pub async fn record_and_tell(
        &self,
        change: &NewChange,
        notifications: &[NewRegistryNotification],
    ) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        record(&mut transaction, change).await?;
        write(&mut transaction, notifications).await?;
        transaction.commit("recording a change").await
    }

    /// Writes notifications of what changes nothing.
    pub async fn tell_endpoints(&self, notifications: &[NewRegistryNotification]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        write(&mut transaction, notifications).await?;
        transaction.commit("writing notifications").await
    }

    /// Returns the oldest notifications of an endpoint, if the first is due: none overtakes another.
    pub async fn due_registry_notifications(
        &self,
        endpoint: &str,
        limit: u32,
    ) -> Result<Vec<RegistryNotification>, Error> {
        let now = self.now_ms().await?;
        let text = format!(
            "SELECT {} FROM registry_notifications WHERE endpoint = $1 ORDER BY id LIMIT {limit}",
            RegistryNotification::COLUMNS
        );
        let rows = sql("reading notifications", text).bind(endpoint).all(self.read()).await?;
        let notifications: Vec<_> = rows.iter().map(RegistryNotification::read).collect::<Result<_, Error>>()?;
        Ok(notifications.into_iter().take_while(|notification| notification.due_ms <= now).collect())
    }

    /// Removes a notification that was taken or refused; another is due again later, until it has been tried often enough.
    pub async fn acknowledge_registry_notification(&self, id: i64, answer: &StatusAnswer) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        put_off(&mut transaction, "registry_notifications", id, answer).await?;
        transaction.commit("acknowledging a notification").await
    }

    /// Removes the oldest notifications of an endpoint beyond so many; returns how many.
    pub async fn trim_registry_notifications(&self, endpoint: &str, keep: u32) -> Result<u64, Error> {
        let text = format!(
            "DELETE FROM registry_notifications WHERE endpoint = $1 AND id <= (SELECT id FROM registry_notifications \
             WHERE endpoint = $1 ORDER BY id DESC LIMIT 1 OFFSET {keep})"
        );
        sql("removing notifications", text).bind(endpoint).run(self.write()).await
    }

    /// Removes the notifications of endpoints that are not among those of the configuration.
    pub async fn forget_registry_endpoints(&self, known: &[String]) -> Result<(), Error> {
        let text = "SELECT DISTINCT endpoint FROM registry_notifications";
        for row in sql("reading endpoints", text).all(self.read()).await? {
            let endpoint: String = row.get("endpoint")?;
            if !known.contains(&endpoint) {
                let text = "DELETE FROM registry_notifications WHERE endpoint = $1";
                sql("removing notifications", text).bind(&endpoint).run(self.write()).await?;
            }
        }
        Ok(())
    }
}

async fn write(transaction: &mut Transaction, notifications: &[NewRegistryNotification]) -> Result<(), Error> {
    for notification in notifications {
        let text = "INSERT INTO registry_notifications (endpoint, event, created_ms, due_ms) VALUES ($1, $2, $3, $3)";
        let statement = sql("writing a notification", text).bind(&notification.endpoint).bind(&notification.event);
        statement.bind(transaction.now_ms).run(transaction.on()).await?;
    }
    Ok(())
}
