//! Logins for clone URLs that a forge's App may read: tokens for one repository, renewed before they expire.

use super::client::{CallError, Exchange, Exchanges};
use super::github::Purpose;
use super::made_apps;
use crate::configuration::forges::ForgeSettings;
use crate::configuration::settings::Settings;
use crate::intake::catalog::{Catalog, Entry};
use database::Database;
use std::sync::Arc;

/// The user whose password is a token of an App.
const USER: &str = "x-access-token";

/// Gives workers the logins of Apps.
pub struct CloneLogins {
    database: Database,
    settings: Settings,
    catalog: Catalog,
    exchanges: Exchanges,
}

impl CloneLogins {
    /// Returns the logins for the forges of `settings`.
    pub fn new(database: Database, settings: Settings, exchange: Arc<dyn Exchange>) -> CloneLogins {
        let (catalog, exchanges) = (Catalog::new(&settings), Exchanges::new(exchange));
        CloneLogins { database, settings, catalog, exchanges }
    }

    /// Returns user and password for the clone URL of a repository; `None` if its host has no App, or that may not read
    /// it. The error says why there is none now, in the forge's words.
    pub async fn login(&self, repository: &str, clone_url: &str) -> Result<Option<(String, String)>, String> {
        let found = self.found(repository, clone_url).await.map_err(|error| error.to_string())?;
        let Some((forge, entry)) = found else { return Ok(None) };
        let name = &entry.repository.forge_name;
        match self.exchanges.app_token(forge, name, Purpose::Clone).await {
            Ok(token) => Ok(token.map(|token| (USER.to_owned(), token))),
            Err(CallError::Refused(problem)) => {
                // A public repository needs no login.
                tracing::warn!(repo = repository, problem, "the App gives no login for a repository");
                Ok(None)
            }
            Err(error) => Err(error.problem().to_owned()),
        }
    }

    /// Forgets a login that the server refused; tells whether another one may be had.
    pub async fn forget(&self, repository: &str, clone_url: &str) -> bool {
        let Ok(Some((forge, entry))) = self.found(repository, clone_url).await else { return false };
        self.exchanges.forget(forge, &entry.repository.forge_name);
        true
    }

    /// Returns a repository, and the forge of its clone URL if that has an App. The host alone decides: a repository that names
    /// its forge may be a mirror, which gets no token.
    async fn found(
        &self,
        repository: &str,
        clone_url: &str,
    ) -> Result<Option<(&ForgeSettings, Arc<Entry>)>, database::Error> {
        let forges = &self.settings.forges;
        if forges.of(clone_url, None).is_some_and(made_apps::may_be_made) {
            // One that was just made counts at once: the first build waits for it.
            made_apps::load(&self.database, forges).await?;
        }
        let Some(forge) = forges.with_app(clone_url) else { return Ok(None) };
        let entry = self.catalog.get(&self.database, repository).await?;
        Ok(entry.map(|entry| (forge, entry)))
    }
}
