//! The page of deliveries: their outcomes, the reasons why nothing was built, and replays.

use super::form::button;
use super::moment::time;
use super::page::{Live, Page, admit};
use crate::api::query::query;
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use database::{Delivery, DeliveryFilter};
use maud::{Markup, html};
use serde::Deserialize;

/// Deliveries on the page.
const MAX_LISTED: u32 = 50;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListQuery {
    before: Option<i64>,
}

/// Shows deliveries, newest first.
pub async fn list(
    State(service): State<Service>,
    caller: Caller,
    wanted: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let before = query(wanted)?.before;
    let filter = DeliveryFilter { among: caller.only(), before, limit: MAX_LISTED, ..DeliveryFilter::default() };
    let deliveries = service.database.deliveries(&filter).await?;
    let seen: Vec<&Delivery> = deliveries.iter().filter(|delivery| caller.sees(&delivery.repository)).collect();
    let older = deliveries.last().filter(|_| deliveries.len() == MAX_LISTED as usize).map(|last| last.id);
    let content = html! {
        h1 { "Deliveries" }
        @if seen.is_empty() { p.empty { "No forge has delivered anything yet." } } @else { (table(&caller, &seen)) }
        nav.older aria-label="Pages" {
            @if before.is_some() { a.btn href="/deliveries" { "Newest deliveries" } }
            @if let Some(older) = older { a.btn rel="next" href=(format!("/deliveries?before={older}")) { "Older deliveries" } }
        }
    };
    Ok(Page { title: "Deliveries", part: "Deliveries", viewer: Some(&caller), mark: None, live: Live::No }
        .around(&content))
}

fn table(caller: &Caller, deliveries: &[&Delivery]) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Repository" } th { "Forge" } th { "Event" } th { "Delivery" } th { "Outcome" } th.num { "Received" } th {} } }
            tbody {
                @for delivery in deliveries {
                    tr {
                        td { a href=(format!("/repos/{}", delivery.repository)) { (plain(delivery.repository.as_bytes())) } }
                        td { (plain(delivery.forge.as_bytes())) }
                        td { (plain(delivery.event.as_bytes())) }
                        td { code.cut title=(plain(delivery.delivery.as_bytes())) { (plain(delivery.delivery.as_bytes())) } }
                        td.wide { (outcome(delivery)) }
                        td.num { (time(delivery.created_ms)) }
                        td { @if caller.may(Scope::Trigger, &delivery.repository) { (replay(caller, delivery)) } }
                    }
                }
            }
        }
    }
}

fn replay(caller: &Caller, delivery: &Delivery) -> Markup {
    let content = html! { button title="Applies today's rules to it once more" { "Replay" } };
    button(caller, &format!("/deliveries/{}/replay", delivery.id), &content)
}

fn outcome(delivery: &Delivery) -> Markup {
    html! {
        @for (number, build) in delivery.builds.iter().enumerate() {
            a href=(format!("/builds/{}", build.as_str())) {
                @if delivery.builds.len() == 1 { "its build" } @else { "build " (number + 1) " of " (delivery.builds.len()) }
            }
            " "
        }
        @if delivery.is_pending { span.state.run { "reading the repository's rules" } }
        @if let Some(reason) = &delivery.ignored { span.state.off { (plain(reason.replace('_', " ").as_bytes())) } }
        @if !delivery.explain.is_empty() {
            " "
            details { summary { "rules that built nothing" } ul { @for why in &delivery.explain { li { (plain(why.as_bytes())) } } } }
        }
    }
}
