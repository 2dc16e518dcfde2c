//! The page of a repository's webhook as its forge has it: mistakes, its deliveries, and those that failed, which it is asked to send again.

use super::form::{Posted, button};
use super::page::{Live, Page, admit};
use super::repository_tabs::{Tab, tabs};
use crate::api::forge_deliveries::{Redelivering, of_repository, sent_again};
use crate::api::named::{Administered, find};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::forge_delivery::{ForgeDeliveriesView, ForgeDeliveryView};
use crate::view::text::plain;
use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

/// Shows what the forge says.
pub(crate) async fn show(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<Response, Problem> {
    admit(&caller)?;
    page(&service, &caller, format!("{namespace}/{name}"), None).await
}

/// Has the forge send one delivery again, or all that failed.
pub(crate) async fn redeliver(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Problem> {
    let Administered { name } = Administered::find(&service, &posted.caller, format!("{namespace}/{name}")).await?;
    let deliveries: Vec<String> = match posted.fields.get("delivery") {
        "" => Vec::new(),
        one => vec![one.to_owned()],
    };
    let done = sent_again(&service, &name, &Redelivering { deliveries }).await?;
    let mut said =
        format!("{} sends {} again.", done.forge, super::words::count(done.redelivered.len() as i64, "delivery"));
    for refused in &done.refused {
        said.push_str(&format!(" Not {}: {}.", refused.id, refused.problem));
    }
    page(&service, &posted.caller, name, Some(&said)).await
}

async fn page(service: &Service, caller: &Caller, name: String, said: Option<&str>) -> Result<Response, Problem> {
    let entry = find(service, caller, &name).await?;
    let Administered { name } = Administered::find(service, caller, name).await?;
    // The page is of use without an answer of the forge, too: it says why there is none.
    let told = of_repository(service, &name).await;
    let content = html! {
        div.head { h1 { (name) } }
        (tabs(caller, &entry, Tab::Connect))
        @if let Some(said) = said { p.notice role="status" { (plain(said.as_bytes())) } }
        @match &told {
            Err(problem) => p.notice.bad role="alert" { (plain(problem.detail().as_bytes())) "." },
            Ok(told) => (webhook(caller, &name, told)),
        }
    };
    let title = format!("Deliveries of {name}'s forge");
    Ok(Page { title: &title, part: "Repositories", viewer: Some(caller), mark: None, live: Live::No }.around(&content))
}

fn webhook(caller: &Caller, name: &str, told: &ForgeDeliveriesView) -> Markup {
    let failed = told.deliveries.iter().filter(|delivery| delivery.failed).count();
    html! {
        h2 { "The webhook at " (plain(told.forge.as_bytes())) }
        @if told.faults.is_empty() { p { "It delivers to " code { (told.url) } "." } }
        @else {
            ul { @for fault in &told.faults { li.bad { (plain(fault.as_bytes())) } } }
            @if told.hook.as_deref() != Some("app") {
                (button(caller, &format!("/repos/{name}/connect"), &html! { button.first { "Mend the webhook" } }))
            }
        }
        h2 { "Deliveries, as the forge tells them" }
        @if let Some(limits) = &told.limits { p.hint { (limits) "." } }
        @if told.deliveries.is_empty() { p.empty { "It tells of none." } }
        @else {
            @if failed > 0 && told.sends_again {
                (button(caller, &again(name), &html! { button.first { "Deliver again what failed" } }))
            }
            (table(caller, name, told))
        }
    }
}

fn table(caller: &Caller, name: &str, told: &ForgeDeliveriesView) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Delivery" } th { "Event" } th { "Sent" } th { "Answer" } th { span.vh { "Actions" } } } }
            tbody { @for delivery in &told.deliveries { (row(caller, name, told, delivery)) } }
        }
    }
}

fn row(caller: &Caller, name: &str, told: &ForgeDeliveriesView, delivery: &ForgeDeliveryView) -> Markup {
    html! {
        tr {
            td { code { (delivery.id) } }
            td { (plain(delivery.event.as_bytes())) }
            td { @if let Some(at) = &delivery.at { (plain(at.as_bytes())) } }
            td.wide {
                span.state.bad[delivery.failed] { (plain(delivery.answer.as_bytes())) }
                @if delivery.failed { span.vh { " failed" } }
            }
            td { @if told.sends_again { (button(caller, &again(name), &html! {
                input type="hidden" name="delivery" value=(delivery.id);
                button aria-label=(format!("Deliver {} again", delivery.id)) { "Deliver again" }
            })) } }
        }
    }
}

fn again(name: &str) -> String {
    format!("/repos/{name}/forge-deliveries/redeliver")
}
