//! Apps of GitHub that administrators made on a page: GitHub gives their keys for a code, and they are kept sealed, as secrets are.

use super::client::{Call, CallError, ForgeClient};
use super::github::App;
use crate::configuration::forges::{ForgeKind, ForgeSettings, Forges};
use database::Database;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The place that they are kept in; no repository is called so.
const PLACE: &str = "@forge-apps";
/// Longest name of an App that GitHub takes.
const MAX_NAME: usize = 34;

/// An App as it is kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct MadeApp {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The address of its page.
    pub page: String,
    /// The person who made it.
    pub by: String,
    private_key: String,
    webhook_secret: String,
}

/// GitHub's answer to a code.
#[derive(Deserialize)]
struct Given {
    id: u64,
    name: String,
    html_url: String,
    pem: String,
    webhook_secret: Option<String>,
}

/// Takes over the Apps that are kept now.
pub(crate) async fn load(database: &Database, forges: &Forges) -> Result<(), database::Error> {
    for forge in forges.all().iter().filter(|forge| may_be_made(forge)) {
        let stored = stored(database, &forge.host).await?;
        let read = |text: &[u8]| {
            let made: MadeApp = serde_json::from_slice(text).map_err(|_| "it cannot be read".to_owned())?;
            App::new(made.id, &made.private_key, Some(made.webhook_secret))
        };
        if let Err(problem) = forge.app.set(stored.as_deref(), read) {
            tracing::error!(forge = forge.host, problem, "the App that was made of a forge cannot be used");
        }
    }
    Ok(())
}

/// Tells whether an App may be made of a forge: it is a GitHub, and the configuration has no App for it.
pub(crate) fn may_be_made(forge: &ForgeSettings) -> bool {
    forge.kind == ForgeKind::Github && !forge.app.is_configured()
}

/// Returns the App that was made of a forge.
pub(crate) async fn of(database: &Database, host: &str) -> Result<Option<MadeApp>, database::Error> {
    Ok(stored(database, host).await?.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// Forgets the App that was made of a forge; tells whether there was one.
pub(crate) async fn remove(database: &Database, host: &str) -> Result<bool, database::Error> {
    database.delete_secret(PLACE, host).await
}

/// Returns the document from which GitHub makes an App for the server at `public_url`.
pub(crate) fn manifest(public_url: &str, host: &str) -> Value {
    let server = public_url.split_once("://").map_or(public_url, |parts| parts.1);
    let name: String = format!("slipway {server}").chars().take(MAX_NAME).collect();
    json!({
        "name": name.trim_end(),
        "url": public_url,
        "hook_attributes": { "url": format!("{public_url}/hooks/github"), "active": true },
        "redirect_url": format!("{public_url}/forges/{host}/app/back"),
        "public": false,
        "default_permissions": { "checks": "write", "contents": "read", "metadata": "read", "pull_requests": "write" },
        "default_events": ["push", "pull_request", "check_run", "check_suite"],
    })
}

/// Gets the keys of an App for the code that GitHub sent a browser back with, and keeps them.
pub(crate) async fn make(
    database: &Database,
    client: &ForgeClient<'_>,
    code: &str,
    by: &str,
) -> Result<Result<MadeApp, CallError>, database::Error> {
    let given = match exchange(client, code).await {
        Ok(given) => given,
        Err(error) => return Ok(Err(error)),
    };
    let secret = given.webhook_secret.filter(|secret| secret.len() >= 8);
    let Some(webhook_secret) = secret else {
        return Ok(Err(CallError::Refused("the App has no secret for its webhook".to_owned())));
    };
    if let Err(problem) = App::new(given.id, &given.pem, None) {
        return Ok(Err(CallError::Refused(problem)));
    }
    let (id, name, page) = (given.id, given.name, given.html_url);
    let made = MadeApp { id, name, page, by: by.to_owned(), private_key: given.pem, webhook_secret };
    let text = serde_json::to_vec(&made).unwrap_or_default();
    database.put_secret(PLACE, &client.forge.host, &text).await?;
    Ok(Ok(made))
}

async fn exchange(client: &ForgeClient<'_>, code: &str) -> Result<Given, CallError> {
    let is_plain = !code.is_empty()
        && code.len() <= 200
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !is_plain {
        return Err(CallError::Refused("the forge sent no code along that could be one".to_owned()));
    }
    let body = client.call(Call::send("POST", format!("/app-manifests/{code}/conversions"), json!({}))).await?;
    // Its text holds the keys: no part of it is told.
    serde_json::from_slice(&body)
        .map_err(|_| CallError::Refused("the forge's answer about the App cannot be read".to_owned()))
}

async fn stored(database: &Database, host: &str) -> Result<Option<Vec<u8>>, database::Error> {
    match database.secrets(PLACE, &[host.to_owned()]).await {
        Ok(found) => Ok(found.into_iter().next().map(|(_, text)| text)),
        // A database that has no key, or another one, has no App that could be used.
        Err(database::Error::NoKey) => Ok(None),
        Err(database::Error::WrongKey(_)) => {
            tracing::error!(forge = host, "the key of the secrets does not open the App that was made of a forge");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
