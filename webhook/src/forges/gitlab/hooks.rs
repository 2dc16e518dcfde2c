//! Webhooks on GitLab: `/projects/{id}/hooks`.

use crate::forges::hooks::{Hook, HookApi};
use crate::forges::status::encoded;
use serde_json::{Value, json};

/// Switches that are on.
const SWITCHES: [&str; 4] = ["push_events", "tag_push_events", "merge_requests_events", "enable_ssl_verification"];

/// Returns how webhooks are registered.
pub(crate) fn hooks(hook: &Hook<'_>) -> HookApi {
    let mut document = json!({ "url": hook.url, "token": hook.key });
    for switch in SWITCHES {
        document[switch] = true.into();
    }
    let path = format!("/projects/{}/hooks", encoded(hook.repository));
    let (query, list, id) = ("per_page=100", "", "id");
    HookApi {
        path,
        query,
        list,
        id,
        change: Some("PUT"),
        added: document.clone(),
        changed: document,
        url: "/url",
        faults,
    }
}

fn faults(known: &Value) -> Vec<String> {
    let off = SWITCHES.iter().filter(|switch| known[**switch] == false);
    off.map(|switch| format!("`{switch}` was off")).collect()
}
