//! The keys that a delivery may be signed with: a repository's own, or the secret of the App that its forge has.

use crate::configuration::settings::Settings;
use crate::forges::{CHECK_EVENTS, Forge};
use crate::intake::catalog::Entry;

/// Tells the keys of repositories for one delivery.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'k> {
    /// The forges, and their Apps.
    pub settings: &'k Settings,
    /// The forge that the delivery is of.
    pub forge: Forge,
    /// Its event.
    pub event: &'k str,
}

impl Keys<'_> {
    /// Returns the keys of a repository. An App's secret stands in for one that the repository has not; requests at check runs
    /// are an App's alone, so that no other secret starts or approves a build.
    pub(crate) fn of(&self, entry: &Entry) -> Vec<String> {
        let own = &entry.repository.keys;
        if self.forge != Forge::Github {
            return own.clone();
        }
        let is_of_app = CHECK_EVENTS.contains(&self.event);
        if !is_of_app && !own.is_empty() {
            return own.clone();
        }
        let app = self.settings.forge_of(&entry.repository, None).and_then(|forge| forge.app.get());
        app.and_then(|app| app.secret.clone()).into_iter().collect()
    }
}
