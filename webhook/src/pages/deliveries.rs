//! The page of deliveries: their outcomes, the reasons why nothing was built, and replays.

use super::form::button;
use super::live;
use super::mark::Mark;
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
use axum::http::HeaderMap;
use axum::response::Response;
use database::{Build, Delivery, DeliveryFilter};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::HashMap;

/// Deliveries on the page.
const MAX_LISTED: u32 = 50;
/// Builds whose states are read for the page.
const MAX_BUILDS: usize = 200;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListQuery {
    before: Option<i64>,
}

/// Deliveries, and the builds that they led to.
struct Found {
    seen: Vec<Delivery>,
    builds: HashMap<String, Build>,
    older: Option<i64>,
}

impl Found {
    async fn read(service: &Service, caller: &Caller, before: Option<i64>) -> Result<Found, Problem> {
        let filter = DeliveryFilter { among: caller.only(), before, limit: MAX_LISTED, ..DeliveryFilter::default() };
        let mut seen = service.database.deliveries(&filter).await?;
        let older = seen.last().filter(|_| seen.len() == MAX_LISTED as usize).map(|last| last.id);
        seen.retain(|delivery| caller.sees(&delivery.repository));
        let mut builds = HashMap::new();
        for id in seen.iter().flat_map(|delivery| &delivery.builds).take(MAX_BUILDS) {
            if let Some(build) = service.database.build(id).await? {
                builds.insert(id.as_str().to_owned(), build);
            }
        }
        Ok(Found { seen, builds, older })
    }

    fn version(&self) -> String {
        let of = |delivery: &Delivery| {
            let builds = delivery.builds.iter().filter_map(|id| self.builds.get(id.as_str()));
            let states: Vec<&str> = builds.map(|build| Mark::of_build(build).word).collect();
            format!("{} {} {states:?};", delivery.id, delivery.is_pending)
        };
        live::version(&self.seen.iter().map(of).collect::<String>())
    }
}

/// Shows deliveries, newest first, or streams when the list changes.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    wanted: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let before = query(wanted)?.before;
    if live::is_wanted(&headers) {
        let seen = service.clone();
        return Ok(live::follow(&service, move || {
            let (service, caller) = (seen.clone(), caller.clone());
            async move { Ok(Found::read(&service, &caller, before).await?.version()) }
        }));
    }
    let found = Found::read(&service, &caller, before).await?;
    let content = html! {
        h1 { "Deliveries" }
        div #list data-part data-version=(found.version()) {
            @if found.seen.is_empty() { p.empty { "No forge has delivered anything yet." } }
            @else { (table(&caller, &found)) }
            nav.older aria-label="Pages" {
                @if before.is_some() { a.btn href="/deliveries" { "Newest deliveries" } }
                @if let Some(older) = found.older { a.btn rel="next" href=(format!("/deliveries?before={older}")) { "Older deliveries" } }
            }
        }
    };
    let page = Page { title: "Deliveries", part: "Deliveries", viewer: Some(&caller), mark: None, live: Live::List };
    Ok(page.around(&content))
}

fn table(caller: &Caller, found: &Found) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Repository" } th { "Forge" } th { "Event" } th { "Delivery" } th { "Outcome" } th.num { "Received" } th { span.vh { "Actions" } } } }
            tbody {
                @for delivery in &found.seen {
                    tr {
                        td { a href=(format!("/repos/{}", delivery.repository)) { (plain(delivery.repository.as_bytes())) } }
                        td { (plain(delivery.forge.as_bytes())) }
                        td { (plain(delivery.event.as_bytes())) }
                        td { a href=(format!("/deliveries/{}", delivery.id)) { code.cut title=(plain(delivery.delivery.as_bytes())) { (plain(delivery.delivery.as_bytes())) } } }
                        td.wide { (outcome(delivery, &found.builds)) }
                        td.num { (time(delivery.created_ms)) }
                        td { @if caller.may(Scope::Trigger, &delivery.repository) { (replay(caller, delivery)) } }
                    }
                }
            }
        }
    }
}

pub(super) fn replay(caller: &Caller, delivery: &Delivery) -> Markup {
    let content = html! { button title="Applies today's rules to it once more" { "Replay" } };
    button(caller, &format!("/deliveries/{}/replay", delivery.id), &content)
}

pub(super) fn outcome(delivery: &Delivery, builds: &HashMap<String, Build>) -> Markup {
    html! {
        @for id in &delivery.builds {
            span.built {
                @match builds.get(id.as_str()) {
                    Some(build) => { (Mark::of_build(build).icon()) a.go href=(format!("/builds/{}", id.as_str())) { "#" (build.number) } },
                    None => a.go href=(format!("/builds/{}", id.as_str())) { "a build" },
                }
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
