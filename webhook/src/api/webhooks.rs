//! `/v1/repos/{namespace}/{name}/webhooks`: whom slipway tells of builds, what they were told, and once more.

use crate::view::code::Code;
use super::named::Administered;
use crate::configuration::document::Webhook;
use crate::http::answer;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::time::moment;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use database::{Notice, NoticeState};
use serde::Deserialize;
use serde_json::{Value, json};

/// Notices that are shown.
const MAX_LISTED: u32 = 200;

/// Lists the webhooks of a repository, without their secrets. They are changed with its document.
pub async fn list(
    State(service): State<Service>,
    Administered { name }: Administered,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = service.catalog.get(&service.database, &name).await?;
    let entry = entry.ok_or_else(|| Problem::no_such_repository(&name))?;
    let webhooks: Vec<Value> = entry.repository.webhooks.iter().map(show).collect();
    Ok(answer::document(&headers, &json!({ "webhooks": webhooks })))
}

/// Lists what a repository's webhooks were and will be told, newest first.
pub async fn deliveries(
    State(service): State<Service>,
    Administered { name }: Administered,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let notices = service.database.notices(&name, MAX_LISTED).await?;
    Ok(answer::document(&headers, &json!({ "deliveries": notices.iter().map(show_notice).collect::<Vec<_>>() })))
}

/// The notice that a path names.
#[derive(Deserialize)]
pub struct DeliveryPath {
    id: String,
}

/// Sends a notice again.
pub async fn replay(
    State(service): State<Service>,
    Administered { name }: Administered,
    Path(DeliveryPath { id }): Path<DeliveryPath>,
) -> Result<Response, Problem> {
    if !service.database.replay_notice(&name, &id).await? {
        let detail = format!("no webhook delivery of `{name}` has this id, or retention removed it");
        return Err(Problem::new(Code::DeliveryNotFound, detail));
    }
    tracing::info!(repo = name, delivery = id, "a webhook is told once more");
    Ok((StatusCode::ACCEPTED, axum::Json(json!({ "id": id, "state": NoticeState::Pending.as_str() }))).into_response())
}

fn show(webhook: &Webhook) -> Value {
    json!({
        "name": webhook.name, "url": webhook.url, "has_secret": webhook.key.is_some(), "events": webhook.events,
        "format": webhook.format,
    })
}

fn show_notice(notice: &Notice) -> Value {
    let is_pending = notice.state == NoticeState::Pending;
    json!({
        "id": notice.id, "webhook": notice.webhook, "event": notice.event, "build": notice.build.as_str(), "tag": notice.tag,
        "state": notice.state.as_str(), "tries": notice.tries, "status": notice.status, "problem": notice.problem,
        "at": moment(notice.created_ms), "tried_at": notice.tried_ms.and_then(moment),
        "due_at": is_pending.then(|| moment(notice.due_ms)).flatten(),
    })
}
