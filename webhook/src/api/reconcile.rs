//! `/v1/repos/{ns}/{name}/reconcile` and `/base-images`: how the looks for missed pushes go, what checks of tags found, and
//! what the tags of base images name.

use super::named::Visible;
use crate::http::answer;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::time::moment;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

/// Shows what is known of one repository.
pub async fn show(
    State(service): State<Service>,
    Visible { entry, .. }: Visible,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = &entry.document.name;
    let state = service.database.look_state(name).await?;
    let pushes = state.map(|state| {
        json!({ "seen_at": state.seen_ms.and_then(moment), "next_at": moment(state.due_ms), "problem": state.problem })
    });
    let notes = service.database.tag_notes(name).await?;
    let tags: Vec<Value> = notes.iter().map(|(tag, note)| json!({ "tag": tag, "note": note })).collect();
    Ok(answer::document(&headers, &json!({ "repository": name, "pushes": pushes, "tags": tags })))
}

/// Shows what is known of the images that the newest builds were made from.
pub async fn base_images(
    State(service): State<Service>,
    Visible { entry, .. }: Visible,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = &entry.document.name;
    let seen = crate::background::base_images::of_repository(&service.database, name).await?;
    let shown = seen.iter().map(|seen| {
        json!({
            "ref": seen.image.reference, "platform": seen.image.platform, "digest": seen.digest,
            "seen_at": seen.seen_ms.and_then(moment), "problem": seen.problem,
        })
    });
    let images: Vec<Value> = shown.collect();
    let rebuild = entry.repository.base_image_rebuild;
    Ok(answer::document(&headers, &json!({ "repository": name, "rebuild": rebuild, "base_images": images })))
}
