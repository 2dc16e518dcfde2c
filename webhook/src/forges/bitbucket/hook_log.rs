//! Bitbucket Data Center's log of its deliveries: the newest of each outcome.

use crate::forges::client::{Call, CallError, ForgeClient};
use crate::forges::hook_log::{Sent, number};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The outcomes that are asked for.
const OUTCOMES: [&str; 3] = ["SUCCESS", "FAILURE", "ERROR"];

/// Returns the newest delivery of each outcome, newest first.
pub(crate) async fn data_center_sent(client: &ForgeClient<'_>, hook: &str) -> Result<Vec<Sent>, CallError> {
    let mut all = Vec::new();
    for outcome in OUTCOMES {
        let body = client.call(Call::get(format!("{hook}/latest?outcome={outcome}"))).await?;
        // An empty answer says that there is none.
        let found: Value = serde_json::from_slice(&body).unwrap_or_default();
        all.extend(read(&found).map(|sent| (found["finish"].as_i64().unwrap_or(0), sent)));
    }
    all.sort_by_key(|(finish, _)| std::cmp::Reverse(*finish));
    Ok(all.into_iter().map(|(_, sent)| sent).collect())
}

fn read(one: &Value) -> Option<Sent> {
    let id = Some(number(&one["id"])).filter(|id| !id.is_empty())?;
    let start = one["start"].as_i64().map(|start| i128::from(start) * 1_000_000);
    let at = start.and_then(|start| OffsetDateTime::from_unix_timestamp_nanos(start).ok()?.format(&Rfc3339).ok());
    let result = &one["result"];
    let outcome = result["outcome"].as_str().unwrap_or_default();
    Some(Sent {
        delivery: id.clone(),
        id,
        event: one["event"].as_str().unwrap_or_default().to_owned(),
        at,
        answer: format!("{outcome}: {}", result["description"].as_str().unwrap_or_default()),
        is_taken: outcome == "SUCCESS",
    })
}
