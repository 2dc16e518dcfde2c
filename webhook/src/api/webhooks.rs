//! `/v1/repos/{namespace}/{name}/webhooks`: webhooks, the deliveries to them, and replays.

use super::named::Administered;
use crate::http::answer;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::webhook::{ReplayView, WebhookDeliveryList, WebhookDeliveryView, WebhookList, WebhookView};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use database::NotificationState;
use serde::Deserialize;

/// Deliveries that are shown.
const MAX_LISTED: u32 = 200;

/// Lists the webhooks of a repository, without their secrets. They are changed with its document.
pub(crate) async fn list(
    State(service): State<Service>,
    Administered { name }: Administered,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = service.catalog.get(&service.database, &name).await?;
    let entry = entry.ok_or_else(|| Problem::no_such_repository(&name))?;
    let webhooks = entry.repository.webhooks.iter().map(WebhookView::from).collect();
    Ok(answer::document(&headers, &WebhookList { webhooks }))
}

/// Lists deliveries to a repository's webhooks, sent and pending, newest first.
pub(crate) async fn deliveries(
    State(service): State<Service>,
    Administered { name }: Administered,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let notifications = service.database.notifications(&name, MAX_LISTED).await?;
    let deliveries = notifications.iter().map(WebhookDeliveryView::from).collect();
    Ok(answer::document(&headers, &WebhookDeliveryList { deliveries }))
}

/// The delivery that a path names.
#[derive(Deserialize)]
pub(crate) struct DeliveryPath {
    id: String,
}

/// Sends a delivery again.
pub(crate) async fn replay(
    State(service): State<Service>,
    Administered { name }: Administered,
    Path(DeliveryPath { id }): Path<DeliveryPath>,
) -> Result<Response, Problem> {
    send_again(&service, &name, &id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(ReplayView { id, state: NotificationState::Pending.as_str().to_owned() }))
        .into_response())
}

/// Sends a delivery to a webhook of a repository again.
pub(crate) async fn send_again(service: &Service, name: &str, id: &str) -> Result<(), Problem> {
    if !service.database.replay_notification(name, id).await? {
        let detail = format!("no webhook delivery of `{name}` has this id, or retention removed it");
        return Err(Problem::new(Code::DeliveryNotFound, detail));
    }
    tracing::info!(repo = name, delivery = id, "a webhook delivery is sent again");
    Ok(())
}
