//! Tokens of a GitHub App for one repository: found through its installation, and renewed before they expire.

use super::app::App;
use crate::forges::client::{Call, CallError, ForgeClient};
use crate::forges::status::repository_path;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How long before its end a token is renewed: a fetch that begins with it should not outlive it.
const MARGIN: Duration = Duration::from_secs(10 * 60);
/// Tokens that are kept; more repositories ask again.
const MAX_KEPT: usize = 10_000;

/// The one thing that a token is asked for: it may do nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Reading commits.
    Clone,
    /// Writing check runs.
    Checks,
    /// Commenting on pull requests.
    Comments,
}

impl Purpose {
    fn permissions(self) -> Value {
        match self {
            Purpose::Clone => json!({ "contents": "read" }),
            Purpose::Checks => json!({ "checks": "write" }),
            Purpose::Comments => json!({ "pull_requests": "write" }),
        }
    }
}

/// The tokens that are known, by host, repository and purpose.
#[derive(Default)]
pub(crate) struct AppTokens {
    known: Mutex<HashMap<(String, String, Purpose), Known>>,
}

struct Known {
    app: u64,
    text: String,
    until: Instant,
}

/// An answer to a request for an installation.
#[derive(Deserialize)]
struct Installation {
    id: u64,
}

/// An answer to a request for a token.
#[derive(Deserialize)]
struct Given {
    token: String,
    expires_at: String,
}

impl AppTokens {
    /// Returns a token for `repository` alone; `client` asks in the App's own name.
    pub(crate) async fn token(
        &self,
        client: &ForgeClient<'_>,
        app: &App,
        repository: &str,
        purpose: Purpose,
    ) -> Result<String, CallError> {
        let key = (client.forge.host.clone(), repository.to_lowercase(), purpose);
        if let Some(text) = self.good(&key, app) {
            return Ok(text);
        }
        let given = ask(client, repository, purpose).await?;
        let expires = OffsetDateTime::parse(&given.expires_at, &Rfc3339).ok();
        let left = expires.map_or(0, |at| (at - OffsetDateTime::now_utc()).whole_seconds());
        let left = Duration::from_secs(left.try_into().unwrap_or(0)).saturating_sub(MARGIN);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KEPT {
            known.retain(|_, one| one.until > Instant::now());
        }
        known.insert(key, Known { app: app.id, text: given.token.clone(), until: Instant::now() + left });
        Ok(given.token)
    }

    /// Forgets a token that the forge no longer takes.
    pub(crate) fn forget(&self, host: &str, repository: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, name, _), _| of != host || *name != repository.to_lowercase());
    }

    fn good(&self, key: &(String, String, Purpose), app: &App) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|one| one.app == app.id && one.until > Instant::now()).map(|one| one.text.clone())
    }
}

async fn ask(client: &ForgeClient<'_>, repository: &str, purpose: Purpose) -> Result<Given, CallError> {
    let (owner, name) = repository_path(repository).map_err(CallError::Refused)?;
    let unreadable = |_| CallError::Again("the forge's answer about the App cannot be read".to_owned());
    let said = |error: CallError, what: &str| match error {
        CallError::Refused(problem) => CallError::Refused(format!("{what}: {problem}")),
        other => other,
    };
    let body = client.call(Call::get(format!("/repos/{owner}/{name}/installation"))).await;
    let body = body.map_err(|error| said(error, &format!("the App is not installed on `{repository}`")))?;
    let installation: Installation = serde_json::from_slice(&body).map_err(unreadable)?;
    let path = format!("/app/installations/{}/access_tokens", installation.id);
    let short = repository.rsplit('/').next().unwrap_or_default();
    let wanted = json!({ "repositories": [short], "permissions": purpose.permissions() });
    let body = client.call(Call::send("POST", path, wanted)).await;
    let body = body.map_err(|error| said(error, &format!("the App gets no token for `{repository}`")))?;
    serde_json::from_slice(&body).map_err(unreadable)
}
