//! `POST /v1/repos/{namespace}/{name}/connect`: registers or repairs the webhook of a repository on its forge, and gives it
//! another secret.

use super::named::{Administered, Changeable};
use super::repositories::change;
use crate::configuration::settings::Repository;
use crate::forges::{CallError, Connected, Hook, connect};
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::catalog::Entry;
use crate::view::code::Code;
use crate::view::repository::ConnectedView;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a repository is connected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Connecting {
    /// Whether another secret takes the place of the present one, here and at the forge.
    pub rotate: bool,
    /// Whether deliveries that are signed with the secret before are refused at once.
    pub drop_previous: bool,
}

/// Connects a repository.
pub(crate) async fn run(
    State(service): State<Service>,
    Administered { name }: Administered,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<axum::Json<ConnectedView>, Problem> {
    let has_body =
        headers.get("content-length").is_some_and(|length| length != "0") || headers.contains_key("transfer-encoding");
    let connecting = match has_body {
        true => body::document::<Option<Connecting>>(&headers, body).await?.0.unwrap_or_default(),
        false => Connecting::default(),
    };
    Ok(axum::Json(connected(&service, &caller, &name, &connecting).await?))
}

/// Connects a repository as it is asked for.
pub(crate) async fn connected(
    service: &Service,
    caller: &Caller,
    name: &str,
    connecting: &Connecting,
) -> Result<ConnectedView, Problem> {
    if !connecting.rotate {
        return match connecting.drop_previous {
            true => Err(Problem::new(Code::BadJson, "`drop_previous` is about a rotation: `rotate` is missing")),
            false => register(service, name).await,
        };
    }
    rotate(service, caller, name, connecting.drop_previous).await
}

/// Gives a repository another secret. Both are accepted until the forge has the new one, so no delivery is lost; a forge that
/// does not take it leaves everything as it was.
async fn rotate(service: &Service, caller: &Caller, name: &str, drop_previous: bool) -> Result<ConnectedView, Problem> {
    let present = Changeable::find(service, caller, name.to_owned()).await?.present;
    let before = present.ok_or_else(|| Problem::no_such_repository(name))?;
    let keys = before.repository.keys.clone();
    // A repository without a secret takes deliveries that are signed with an App's: one of its own would refuse them.
    let present = keys.first().ok_or_else(|| no_secret(name))?;
    let secret = random_secret().ok_or_else(Problem::database_unavailable)?;
    let none = HeaderMap::new();
    let set = async |entry: &Entry, present: &String, previous: Option<&String>| {
        change(service, entry, &none, |document| {
            document["secret"] = present.clone().into();
            document["previous_secret"] = previous.cloned().into();
        })
        .await
    };
    let both = set(&before, &secret, Some(present)).await?;
    let registered = match register(service, name).await {
        Ok(registered) => registered,
        Err(problem) => {
            set(&both, present, keys.get(1)).await?;
            return Err(problem);
        }
    };
    if drop_previous {
        set(&both, &secret, None).await?;
    }
    tracing::info!(repo = name, drop_previous, "the secret of a webhook was rotated");
    Ok(registered)
}

/// Returns the answer where nothing tells on which forge a repository is.
pub(super) fn no_forge(repository: &Repository) -> Problem {
    let url = database::redact(&repository.clone_url);
    Problem::new(Code::NoForge, format!("no forge is configured for {url}"))
        .hint("the operator names it, with a token, under `[forges.\"HOST\"]` of slipway.toml")
}

fn no_secret(name: &str) -> Problem {
    Problem::new(Code::NoSecret, format!("`{name}` has no `secret`, which deliveries are signed with"))
        .hint("set one, for example that of `openssl rand -hex 32`")
}

/// Returns a new secret of 64 hexadecimal digits; `None` if the machine gives no randomness.
fn random_secret() -> Option<String> {
    let mut bytes = [0; 32];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

/// Registers or repairs the webhook of a repository on its forge.
pub(crate) async fn register(service: &Service, name: &str) -> Result<ConnectedView, Problem> {
    let entry = service.catalog.get(&service.database, name).await?;
    let entry = entry.ok_or_else(|| Problem::no_such_repository(name))?;
    let repository = &entry.repository;
    let forge = service.settings.forge_of(repository, None).ok_or_else(|| no_forge(repository))?;
    if forge.app.get().is_some() {
        let detail =
            format!("`{}` has an App, whose webhook delivers for every repository that it is installed on", forge.host);
        return Err(Problem::new(Code::ForgeHasApp, detail)
            .hint("install the App on the repository: there is nothing to register"));
    }
    let key = repository.keys.first().ok_or_else(|| no_secret(name))?;
    let url = format!("{}/hooks/{}", service.settings.public_url, forge.kind.hook_name());
    let client = service.exchanges.client(forge);
    let hook = Hook { repository: &repository.forge_name, url: &url, key };
    let connected = connect(&client, &hook).await.map_err(|error| {
        // The forge may repeat what it was sent.
        let said = error.problem().replace(key.as_str(), "***");
        let code = if let CallError::Refused(_) = error { Code::ForgeRefused } else { Code::ForgeUnavailable };
        Problem::new(code, format!("{}: {said}", forge.host))
    })?;
    let Connected { id, is_new, faults } = connected;
    tracing::info!(repo = name, forge = forge.host, hook = id, is_new, "the webhook of a repository was registered");
    let action = match (is_new, faults.is_empty()) {
        (true, _) => "added",
        (false, true) => "confirmed",
        (false, false) => "repaired",
    };
    Ok(ConnectedView { forge: forge.host.clone(), hook: id, url, action: action.to_owned(), faults })
}
