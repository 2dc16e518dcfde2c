//! `app` of `[forges."HOST"]`: the App that slipway is on a GitHub.

use crate::configuration::secret::Secret;
use crate::forges::App;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;

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
