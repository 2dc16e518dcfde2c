//! `app` of `[forges."HOST"]`: the App that slipway is on a GitHub.

use crate::configuration::secret::Secret;
use crate::forges::App;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// `app` of a GitHub as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppText {
    /// Number of the App.
    id: u64,
    /// Its private key, in PEM.
    private_key: Secret,
    /// The secret of its webhook.
    webhook_secret: Option<Secret>,
}

impl AppText {
    /// Returns the App, with its key and secret read.
    pub(super) fn read(&self, directory: &Path) -> Result<App, String> {
        let key = self.private_key.read(directory)?;
        let secret = self.webhook_secret.as_ref().map(|secret| secret.read(directory)).transpose()?;
        if secret.as_ref().is_some_and(|secret| secret.len() < 8) {
            return Err("`webhook_secret` is guessed too easily: take that of `openssl rand -hex 32`".to_owned());
        }
        App::new(self.id, &key, secret)
    }
}

/// The App of a forge: that of the configuration, or one that an administrator made on a page, which all clones share.
#[derive(Debug, Clone, Default)]
pub(crate) struct AppSlot {
    configured: Option<Arc<App>>,
    made: Arc<RwLock<Option<Made>>>,
}

/// An App that was made on a page, and the text that it was read from.
struct Made {
    text: Vec<u8>,
    app: Arc<App>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Made({:?})", self.app)
    }
}

impl AppSlot {
    /// Returns the place for the App of a forge.
    pub(super) fn of(configured: Option<Arc<App>>) -> AppSlot {
        AppSlot { configured, made: Arc::default() }
    }

    /// Returns the App.
    pub(crate) fn get(&self) -> Option<Arc<App>> {
        let made = || self.made.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|made| made.app.clone());
        self.configured.clone().or_else(made)
    }

    /// Tells whether the configuration has it.
    pub(crate) fn is_configured(&self) -> bool {
        self.configured.is_some()
    }

    /// Takes the App that is stored now, if it is another one than before.
    pub(crate) fn set(
        &self,
        stored: Option<&[u8]>,
        read: impl FnOnce(&[u8]) -> Result<App, String>,
    ) -> Result<(), String> {
        {
            let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
            if made.as_ref().map(|made| made.text.as_slice()) == stored {
                return Ok(());
            }
        }
        let read = stored.map(|text| read(text).map(|app| Made { text: text.to_owned(), app: Arc::new(app) }));
        let (made, problem) = match read {
            None => (None, Ok(())),
            Some(Ok(made)) => (Some(made), Ok(())),
            Some(Err(problem)) => (None, Err(problem)),
        };
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = made;
        problem
    }
}
