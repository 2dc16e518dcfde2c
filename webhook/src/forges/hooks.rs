//! Webhooks on forges: each forge's folder says how it writes one, and here it is registered or repaired.

use super::client::{Call, CallError, ForgeClient};
use super::status::encoded;
use super::{bitbucket, gitea, github, gitlab};
use crate::configuration::forges::ForgeKind;
use serde_json::Value;

/// A webhook that a repository is to have.
#[derive(Debug)]
pub(crate) struct Hook<'h> {
    /// The forge's name of the repository.
    pub repository: &'h str,
    /// Where deliveries go.
    pub url: &'h str,
    /// The key that they are signed with.
    pub key: &'h str,
}

/// A webhook that is registered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Connected {
    /// The forge's id of it.
    pub id: String,
    /// Whether it was not there before.
    pub is_new: bool,
    /// Its mistakes. The key is not shown, so it is set in any case.
    pub faults: Vec<String>,
}

/// A webhook that is there.
#[derive(Debug)]
pub(crate) struct KnownHook {
    /// The forge's id of it.
    pub id: String,
    /// Its path below the URL of the API.
    pub path: String,
    /// Its mistakes, as far as the forge shows them.
    pub faults: Vec<String>,
}

/// The webhooks of a forge: their path, and how one is written.
pub(super) struct HookApi {
    /// Path of a repository's webhooks.
    pub path: String,
    /// Query with which enough of them are listed.
    pub query: &'static str,
    /// Where the list stands in an answer.
    pub list: &'static str,
    /// Key of a webhook's id.
    pub id: &'static str,
    /// The method that changes one; `None` where a change leaves the key as it is, so that another takes its place.
    pub change: Option<&'static str>,
    /// The document that adds one.
    pub added: Value,
    /// The document that changes one.
    pub changed: Value,
    /// Where the URL of one that is registered stands in its document.
    pub url: &'static str,
    /// Returns what is wrong with one that is registered.
    pub faults: fn(&Value) -> Vec<String>,
}

/// Registers a webhook, or repairs the one that is there.
pub(crate) async fn connect(client: &ForgeClient<'_>, hook: &Hook<'_>) -> Result<Connected, CallError> {
    let (api, known) = find(client, hook).await?;
    match known {
        Some(known) => {
            let id = text(&known[api.id]);
            let faults = (api.faults)(&known);
            let path = format!("{}/{}", api.path, encoded(&id));
            let id = match api.change {
                Some(method) => client.call(Call::send(method, path, api.changed)).await.map(|_| id)?,
                None => {
                    let added = add(client, &api).await?;
                    client.call(Call { method: "DELETE", path, body: None }).await?;
                    added
                }
            };
            Ok(Connected { id, is_new: false, faults })
        }
        None => Ok(Connected { id: add(client, &api).await?, is_new: true, faults: Vec::new() }),
    }
}

/// Looks for a webhook, and changes nothing.
pub(crate) async fn look(client: &ForgeClient<'_>, hook: &Hook<'_>) -> Result<Option<KnownHook>, CallError> {
    let (api, known) = find(client, hook).await?;
    Ok(known.map(|known| {
        let id = text(&known[api.id]);
        let path = format!("{}/{}", api.path, encoded(&id));
        KnownHook { id, path, faults: (api.faults)(&known) }
    }))
}

/// Returns how webhooks are registered, and the one that is there.
async fn find(client: &ForgeClient<'_>, hook: &Hook<'_>) -> Result<(HookApi, Option<Value>), CallError> {
    let api = match client.forge.kind {
        ForgeKind::Github => github::hooks(hook),
        ForgeKind::Gitlab => Ok(gitlab::hooks(hook)),
        kind @ (ForgeKind::Gitea | ForgeKind::Forgejo | ForgeKind::Gogs) => gitea::hooks(kind, hook),
        ForgeKind::Bitbucket => bitbucket::cloud_hooks(hook),
        ForgeKind::BitbucketDatacenter => bitbucket::data_center_hooks(hook),
    };
    let api = api.map_err(CallError::Refused)?;
    let unreadable = || CallError::Again("the forge's list of webhooks cannot be read".to_owned());
    let body = client.call(Call::get(format!("{}?{}", api.path, api.query))).await?;
    let answer: Value = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let known = answer.pointer(api.list).and_then(Value::as_array).ok_or_else(unreadable)?;
    let is_ours = |known: &&Value| {
        known
            .pointer(api.url)
            .and_then(Value::as_str)
            .is_some_and(|url| url.trim_end_matches('/').eq_ignore_ascii_case(hook.url))
    };
    let known = known.iter().find(is_ours).cloned();
    Ok((api, known))
}

/// Adds a webhook; returns its id.
async fn add(client: &ForgeClient<'_>, api: &HookApi) -> Result<String, CallError> {
    let body = client.call(Call::send("POST", api.path.clone(), api.added.clone())).await?;
    let added: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(text(&added[api.id]))
}

/// Returns an id, which is a number or a text.
pub(super) fn text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// Returns what is wrong with a webhook that has a list of events.
pub(super) fn faults(known: &Value, events: &[&str]) -> Vec<String> {
    let has =
        |event: &str| known["events"].as_array().is_some_and(|all| all.iter().any(|one| one == event || one == "*"));
    let mut faults: Vec<String> = Vec::new();
    if known["active"] == false {
        faults.push("it was not active".to_owned());
    }
    faults.extend(events.iter().filter(|event| !has(event)).map(|event| format!("`{event}` was missing")));
    match known["config"]["content_type"].as_str() {
        None | Some("json" | "form") => {}
        Some(other) => faults.push(format!("its content type was `{other}`")),
    }
    faults
}
