//! `/v1/repos/{ns}/{name}/reconcile`: how the looks for missed pushes go, and what checks of tags found.

use super::builds::moment;
use super::repositories::find;
use crate::Service;
use crate::access::Caller;
use crate::answer;
use crate::problem::Problem;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

/// Shows what is known of one repository.
pub async fn show(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = format!("{namespace}/{name}");
    find(&service, &caller, &name).await?;
    let state = service.database.look_state(&name).await?;
    let pushes = state.map(|state| {
        json!({ "seen_at": state.seen_ms.and_then(moment), "next_at": moment(state.due_ms), "problem": state.problem })
    });
    let notes = service.database.tag_notes(&name).await?;
    let tags: Vec<Value> = notes.iter().map(|(tag, note)| json!({ "tag": tag, "note": note })).collect();
    Ok(answer::document(&headers, &json!({ "repository": name, "pushes": pushes, "tags": tags })))
}
