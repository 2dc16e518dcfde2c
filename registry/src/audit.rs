//! The audit record: what was changed in the registry, and by whom.

use crate::Settings;
use database::{NewChange, NewRegistryNotification};

impl Settings {
    /// Records what was changed. It has happened: a record that cannot be written is said in the log instead.
    pub(crate) async fn record(&self, change: NewChange, notifications: Vec<NewRegistryNotification>) {
        let NewChange { account, address, action, repository, reference, digest } = &change;
        tracing::info!(account, address, action, repository, reference, digest, "the registry was changed");
        let Some(database) = &self.audit else { return };
        if let Err(error) = database.record_and_tell(&change, &notifications).await {
            tracing::error!(error = &error as &dyn std::error::Error, "a change of the registry is not recorded");
        }
    }
}
