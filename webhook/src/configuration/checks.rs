//! Checks a configuration as a whole: tokens and the repositories that they name, and where links begin.

use super::file::{Configuration, ConfigurationError, wrong};
use crate::configuration::document::{RepositoryDocument, check_repository_name, nearest};
use crate::configuration::forges::Forges;

impl Configuration {
    /// Refuses tokens for repositories that are not there and are spelt almost like one that is; `added` are those of the API.
    pub fn check_token_repositories(&self, added: &[String]) -> Result<(), ConfigurationError> {
        let names = self.repository_names();
        let known: Vec<&str> = names.iter().chain(added).map(String::as_str).collect();
        for token in &self.tokens {
            for name in token.repositories.iter().filter(|name| !known.contains(&name.as_str())) {
                if let Some(meant) = nearest(name, &known) {
                    let problem = format!("there is no repository `{name}`; did you mean `{meant}`?");
                    return Err(wrong(format!("tokens `{}`", token.name), problem));
                }
                tracing::warn!(token = token.name, repo = name, "a token is for a repository that is not there yet");
            }
        }
        Ok(())
    }

    /// Refuses repositories that name a forge which is not there.
    pub(super) fn check_forges(&self, forges: &Forges) -> Result<(), ConfigurationError> {
        for document in &self.repositories {
            check_forge(document.forge.as_deref(), forges)
                .map_err(|problem| wrong(format!("repositories `{}`", document.name), problem))?;
        }
        Ok(())
    }

    /// Refuses tokens that nothing could be done with or that cannot be told apart.
    pub(super) fn check_tokens(&self) -> Result<(), ConfigurationError> {
        for (number, text) in self.tokens.iter().enumerate() {
            let place = || format!("tokens `{}`", text.name);
            if text.name.is_empty() || self.tokens[..number].iter().any(|other| other.name == text.name) {
                return Err(wrong(place(), "every token has a name of its own"));
            }
            if text.scopes.is_empty() {
                return Err(wrong(place(), "`scopes` is empty, so it is good for nothing: read, trigger or admin"));
            }
            text.repositories
                .iter()
                .try_for_each(|name| check_repository_name(name))
                .map_err(|why| wrong(place(), why))?;
        }
        Ok(())
    }

    /// Returns what is odd about the configuration and may be meant, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let forges = self.forges().unwrap_or_default();
        let is_signed = |document: &RepositoryDocument| {
            let named = document.forge.as_deref().and_then(|host| forges.named(host));
            let forge = named.or_else(|| forges.of(&document.clone_url, None));
            document.secret.is_some()
                || forge.is_some_and(|forge| forge.app.get().is_some_and(|app| app.secret.is_some()))
        };
        let unsigned = self.repositories.iter().filter(|document| !is_signed(document));
        let unsigned = unsigned.map(|document| {
            let what = "deliveries of forges are not taken; pushes are found when it is next looked for them";
            format!("the repository `{}` has no `secret`: {what}", document.name)
        });
        unsigned.collect()
    }
}

/// Checks the name of a repository's forge.
pub(crate) fn check_forge(name: Option<&str>, forges: &Forges) -> Result<(), String> {
    let Some(name) = name.filter(|name| forges.named(name).is_none()) else { return Ok(()) };
    let known = forges.names();
    let meant = nearest(name, &known).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    Err(format!("forge: there is no `[forges.\"{name}\"]`{meant}"))
}

/// Checks the URL that links begin with: what is added to it must be a path.
pub(crate) fn check_public_url(text: &str) -> Result<(), String> {
    let shown = database::redact(text);
    let url = url::Url::parse(text).map_err(|error| format!("`{shown}` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{shown}` is not an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("`{shown}` holds a login, which every link would show"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{shown}` has a query or a fragment: only a host and a path can begin links"));
    }
    Ok(())
}
