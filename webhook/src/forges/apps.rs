//! The Apps of forges: clients that ask in their name.

use super::client::{CallError, Exchanges, ForgeClient};
use super::github::Purpose;
use crate::configuration::forges::ForgeSettings;

impl Exchanges {
    /// Returns a client with a token of the forge's App for one repository; with the forge's own token where it has no App.
    pub(crate) async fn client_for<'f>(
        &'f self,
        forge: &'f ForgeSettings,
        repository: &str,
        purpose: Purpose,
    ) -> Result<ForgeClient<'f>, CallError> {
        let login = self.app_token(forge, repository, purpose).await?;
        Ok(ForgeClient { login, ..self.client(forge) })
    }

    /// Returns a client that asks in the name of the forge's App; `None` if it has no App.
    pub(crate) fn client_as_app<'f>(&'f self, forge: &'f ForgeSettings) -> Result<Option<ForgeClient<'f>>, CallError> {
        let Some(app) = forge.app.get() else { return Ok(None) };
        let proof = app.proof().map_err(CallError::Refused)?;
        Ok(Some(ForgeClient { login: Some(proof), ..self.client(forge) }))
    }

    /// Returns a token of the forge's App for one repository; `None` if it has no App.
    pub(crate) async fn app_token(
        &self,
        forge: &ForgeSettings,
        repository: &str,
        purpose: Purpose,
    ) -> Result<Option<String>, CallError> {
        let Some(app) = forge.app.get() else { return Ok(None) };
        let Some(client) = self.client_as_app(forge)? else { return Ok(None) };
        self.tokens.token(&client, &app, repository, purpose).await.map(Some)
    }

    /// Forgets what is known of an App's tokens for a repository, after the forge took one of them no longer.
    pub(crate) fn forget(&self, forge: &ForgeSettings, repository: &str) {
        self.tokens.forget(&forge.host, repository);
    }
}
