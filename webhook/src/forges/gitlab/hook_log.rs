//! GitLab's log of its deliveries: `/projects/{id}/hooks/{id}/events`, of seven days.

use crate::forges::client::{Call, CallError, ForgeClient};
use crate::forges::hook_log::{Sent, list, number};
use serde_json::Value;

/// Events of a page: GitLab gives no more, because each holds what was sent.
const PAGE: usize = 20;
/// Pages that are read at most.
const MAX_PAGES: usize = 5;

/// Returns the newest deliveries, newest first.
pub(crate) async fn sent(client: &ForgeClient<'_>, hook: &str) -> Result<Vec<Sent>, CallError> {
    let mut all = Vec::new();
    for page in 1..=MAX_PAGES {
        let body = client.call(Call::get(format!("{hook}/events?per_page={PAGE}&page={page}"))).await?;
        let found = list(&body)?;
        all.extend(found.iter().filter_map(read));
        if found.len() < PAGE {
            break;
        }
    }
    Ok(all)
}

fn read(one: &Value) -> Option<Sent> {
    let id = Some(number(&one["id"])).filter(|id| !id.is_empty())?;
    // A number, or words where there was no answer: `internal error`.
    let status = one["response_status"].as_str().map_or_else(|| one["response_status"].to_string(), str::to_owned);
    let headers = &one["request_headers"];
    Some(Sent {
        // The key stays with every attempt.
        delivery: headers["Idempotency-Key"].as_str().map_or_else(|| id.clone(), str::to_owned),
        id,
        event: one["trigger"].as_str().unwrap_or_default().trim_end_matches("_hooks").to_owned(),
        at: one["created_at"].as_str().map(str::to_owned),
        is_taken: status.len() == 3 && status.starts_with('2'),
        answer: if status.bytes().all(|byte| byte.is_ascii_digit()) { format!("HTTP {status}") } else { status },
    })
}
