//! The page of deliveries: their outcomes, and the reasons why nothing was built.

use super::moment::time;
use super::page::{Page, admit};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::State;
use axum::response::Response;
use database::{Delivery, DeliveryFilter};
use maud::{Markup, html};

/// Deliveries on the page.
const MAX_LISTED: u32 = 50;

/// Shows the newest deliveries.
pub async fn list(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    admit(&caller)?;
    let filter = DeliveryFilter { among: caller.only(), limit: MAX_LISTED, ..DeliveryFilter::default() };
    let deliveries = service.database.deliveries(&filter).await?;
    let seen: Vec<&Delivery> = deliveries.iter().filter(|delivery| caller.sees(&delivery.repository)).collect();
    let content = html! {
        h1 { "Deliveries" }
        @if seen.is_empty() { p.empty { "No forge has delivered anything yet." } } @else {
            table {
                thead { tr { th { "Received" } th { "Repository" } th { "Forge" } th { "Event" } th.more { "Delivery" } th { "Outcome" } } }
                tbody {
                    @for delivery in &seen {
                        tr {
                            td { (time(delivery.created_ms)) }
                            td { a href=(format!("/repos/{}", delivery.repository)) { (plain(delivery.repository.as_bytes())) } }
                            td { (plain(delivery.forge.as_bytes())) }
                            td { (plain(delivery.event.as_bytes())) }
                            td.more { code { (plain(delivery.delivery.as_bytes())) } }
                            td.wide { (outcome(delivery)) }
                        }
                    }
                }
            }
        }
    };
    let changes = seen.iter().any(|delivery| delivery.is_pending);
    Ok(Page { title: "Deliveries", part: "Deliveries", changes }.around(&content))
}

fn outcome(delivery: &Delivery) -> Markup {
    html! {
        @for (number, build) in delivery.builds.iter().enumerate() {
            a href=(format!("/builds/{}", build.as_str())) {
                @if delivery.builds.len() == 1 { "its build" } @else { "build " (number + 1) " of " (delivery.builds.len()) }
            }
            " "
        }
        @if delivery.is_pending { span.state.queued { "reading the repository's rules" } }
        @if let Some(reason) = &delivery.ignored { span.state.skipped { (plain(reason.replace('_', " ").as_bytes())) } }
        @if !delivery.explain.is_empty() {
            " "
            details { summary { "rules that built nothing" } ul { @for why in &delivery.explain { li { (plain(why.as_bytes())) } } } }
        }
    }
}
