//! Webhooks on Bitbucket: the cloud's `/hooks`, Data Center's `/webhooks`.

use crate::forges::hooks::{Hook, HookApi, faults};
use crate::forges::status::repository_path;
use serde_json::json;

/// Name of the webhooks.
const NAME: &str = "slipway";
/// Events of the cloud that are delivered.
const CLOUD_EVENTS: [&str; 5] =
    ["repo:push", "pullrequest:created", "pullrequest:updated", "pullrequest:fulfilled", "pullrequest:rejected"];
/// Events of Data Center that are delivered.
const DATA_CENTER_EVENTS: [&str; 6] =
    ["repo:refs_changed", "pr:opened", "pr:from_ref_updated", "pr:merged", "pr:declined", "pr:deleted"];

/// Returns how webhooks are registered in the cloud.
pub(crate) fn cloud_hooks(hook: &Hook<'_>) -> Result<HookApi, String> {
    let (workspace, name) = repository_path(hook.repository)?;
    let document = json!({
        "description": NAME, "url": hook.url, "active": true, "secret": hook.key, "events": CLOUD_EVENTS,
    });
    let (path, query) = (format!("/repositories/{workspace}/{name}/hooks"), "pagelen=100");
    let (list, id, url, added) = ("/values", "uuid", "/url", document.clone());
    let faults = |known: &_| faults(known, &CLOUD_EVENTS);
    Ok(HookApi { path, query, list, id, change: Some("PUT"), added, changed: document, url, faults })
}

/// Returns how webhooks are registered on Data Center.
pub(crate) fn data_center_hooks(hook: &Hook<'_>) -> Result<HookApi, String> {
    let (project, name) = repository_path(hook.repository)?;
    let document = json!({
        "name": NAME, "url": hook.url, "active": true, "events": DATA_CENTER_EVENTS,
        "configuration": { "secret": hook.key },
    });
    let (path, query) = (format!("/projects/{project}/repos/{name}/webhooks"), "limit=100");
    let (list, id, url, added) = ("/values", "id", "/url", document.clone());
    let faults = |known: &_| faults(known, &DATA_CENTER_EVENTS);
    Ok(HookApi { path, query, list, id, change: Some("PUT"), added, changed: document, url, faults })
}
