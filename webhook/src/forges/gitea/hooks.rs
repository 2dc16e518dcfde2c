//! Webhooks on Gitea, Forgejo and Gogs: `/repos/{owner}/{repo}/hooks`.

use crate::configuration::forges::ForgeKind;
use crate::forges::hooks::{Hook, HookApi, faults};
use crate::forges::status::repository_path;
use serde_json::json;

/// Events that are delivered; `pull_request` stands for all that happens to one.
const EVENTS: [&str; 2] = ["push", "pull_request"];

/// Returns how webhooks are registered.
pub(crate) fn hooks(kind: ForgeKind, hook: &Hook<'_>) -> Result<HookApi, String> {
    let (owner, name) = repository_path(hook.repository)?;
    let config = json!({ "url": hook.url, "content_type": "json", "secret": hook.key });
    let changed = json!({ "active": true, "events": EVENTS, "config": config });
    let mut added = changed.clone();
    added["type"] = kind.as_str().into();
    // Gogs takes no new key for one that is there.
    let change = (kind != ForgeKind::Gogs).then_some("PATCH");
    let path = format!("/repos/{owner}/{name}/hooks");
    let (query, list, id) = ("limit=50", "", "id");
    Ok(HookApi {
        path,
        query,
        list,
        id,
        change,
        added,
        changed,
        url: "/config/url",
        faults: |known| faults(known, &EVENTS),
    })
}
