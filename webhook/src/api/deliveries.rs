//! `/v1/deliveries`: deliveries of forges, their outcomes, and replays.

use crate::api::query::{limit, query};
use crate::configuration::settings::Scope;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::hooks;
use crate::view::code::Code;
use crate::view::delivery::{DeliveryList, DeliveryView};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use bytes::Bytes;
use database::{Delivery, DeliveryFilter};
use serde::Deserialize;

/// Query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeliveriesQuery {
    repo: Option<String>,
    status: Option<String>,
    limit: Option<u32>,
    cursor: Option<i64>,
}

/// Lists deliveries, newest first.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
    wanted: Result<Query<DeliveriesQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.may_read()?;
    let wanted = query(wanted)?;
    let limit = limit(wanted.limit)?;
    let ignored = match wanted.status.as_deref() {
        None => None,
        Some("ignored") => Some(true),
        Some("accepted") => Some(false),
        Some(other) => {
            return Err(Problem::new(Code::InvalidStatus, format!("`{other}` is neither `accepted` nor `ignored`")));
        }
    };
    let filter =
        DeliveryFilter { repository: wanted.repo, among: caller.only(), ignored, before: wanted.cursor, limit };
    let deliveries = service.database.deliveries(&filter).await?;
    let next = deliveries.last().filter(|_| deliveries.len() == limit as usize).map(|last| last.id.to_string());
    let seen = deliveries.iter().filter(|delivery| caller.sees(&delivery.repository));
    let list = DeliveryList { deliveries: seen.map(DeliveryView::from).collect(), next_cursor: next.clone() };
    let response = answer::document(&headers, &list);
    Ok(answer::linked(response, &uri, next.as_deref()))
}

/// Shows one delivery.
pub(crate) async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may_read()?;
    Ok(answer::document(&headers, &DeliveryView::from(&find(&service, &caller, &id).await?)))
}

/// Applies the present rules to a delivery once more.
pub(crate) async fn replay(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    repeat(&service, &caller, &id).await
}

/// Applies the present rules to a delivery once more, if the caller may.
pub(crate) async fn repeat(service: &Service, caller: &Caller, id: &str) -> Result<Response, Problem> {
    caller.may_read()?;
    let delivery = find(service, caller, id).await?;
    caller.require(Scope::Trigger, &delivery.repository)?;
    let body = service.database.delivery_body(delivery.id).await?.ok_or_else(no_such_delivery)?;
    if body.is_empty() {
        let detail = Problem::removed("the body of this delivery");
        return Err(Problem::new(Code::BodyRemoved, detail));
    }
    let new =
        format!("{}-replay-{}", delivery.delivery.chars().take(60).collect::<String>(), uuid::Uuid::now_v7().simple());
    hooks::replay(service, &delivery, &new, &Bytes::from(body)).await
}

/// Returns the body of a delivery, for those who may apply it once more; `None` if retention removed it.
pub(crate) async fn body(service: &Service, caller: &Caller, delivery: &Delivery) -> Result<Option<Vec<u8>>, Problem> {
    caller.require(Scope::Trigger, &delivery.repository)?;
    let body = service.database.delivery_body(delivery.id).await?;
    Ok(body.filter(|body| !body.is_empty()))
}

/// Finds a delivery by its number.
pub(crate) async fn find(service: &Service, caller: &Caller, id: &str) -> Result<Delivery, Problem> {
    let id: i64 = id.parse().map_err(|_| no_such_delivery())?;
    let delivery = service.database.delivery(id).await?;
    delivery.filter(|delivery| caller.sees(&delivery.repository)).ok_or_else(no_such_delivery)
}

fn no_such_delivery() -> Problem {
    Problem::new(Code::DeliveryNotFound, "there is no delivery with this id")
}
