//! Webhooks on GitHub: `/repos/{owner}/{repo}/hooks`.

use crate::forges::hooks::{Hook, HookApi, faults};
use crate::forges::status::repository_path;
use serde_json::{Value, json};

/// Events that are delivered.
const EVENTS: [&str; 2] = ["push", "pull_request"];

/// Returns how webhooks are registered.
pub(crate) fn hooks(hook: &Hook<'_>) -> Result<HookApi, String> {
    let (owner, name) = repository_path(hook.repository)?;
    let config = json!({ "url": hook.url, "content_type": "json", "secret": hook.key, "insecure_ssl": "0" });
    let changed = json!({ "active": true, "events": EVENTS, "config": config });
    let mut added = changed.clone();
    added["name"] = "web".into();
    let path = format!("/repos/{owner}/{name}/hooks");
    let (query, list, id) = ("per_page=100", "", "id");
    Ok(HookApi { path, query, list, id, change: Some("PATCH"), added, changed, url: "/config/url", faults: wrong })
}

fn wrong(known: &Value) -> Vec<String> {
    let mut wrong = faults(known, &EVENTS);
    if known["config"]["insecure_ssl"] == "1" {
        wrong.push("certificates were not checked".to_owned());
    }
    wrong
}
