//! The page of a delivery: what came, what became of it, and the payload for those who may apply it once more.

use super::deliveries::{outcome, replay};
use super::moment::time;
use super::page::{Live, Page, admit};
use super::words::size;
use crate::api::deliveries::{body, find};
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::{Path, State};
use axum::response::Response;
use database::Delivery;
use maud::{Markup, html};
use std::collections::HashMap;

/// Bytes of a payload that are shown.
const MAX_SHOWN: usize = 256 * 1024;

/// Shows one delivery.
pub(crate) async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let delivery = find(&service, &caller, &id).await?;
    let may_replay = caller.may(Scope::Trigger, &delivery.repository);
    let payload = if may_replay { body(&service, &caller, &delivery).await? } else { None };
    let mut builds = HashMap::new();
    for id in &delivery.builds {
        if let Some(build) = service.database.build(id).await? {
            builds.insert(id.as_str().to_owned(), build);
        }
    }
    let mut others = service.database.same_delivery(&delivery).await?;
    others.retain(|other| caller.sees(&other.1));
    let content = html! {
        div.head {
            h1 { "Delivery " (delivery.id) }
            @if may_replay { (replay(&caller, &delivery)) }
        }
        (facts(&delivery, &others, &outcome(&delivery, &builds)))
        h2 { "Payload" }
        @match &payload {
            Some(bytes) => (shown(bytes)),
            None if may_replay => p.empty { (plain(Problem::removed("The payload").as_bytes())) "." },
            None => p.empty { "Payloads are shown to those who may start builds of the repository." },
        }
    };
    let title = format!("Delivery {}", delivery.id);
    Ok(Page { title: &title, part: "Deliveries", viewer: Some(&caller), mark: None, live: Live::No }.around(&content))
}

fn facts(delivery: &Delivery, others: &[(i64, String)], outcome: &Markup) -> Markup {
    html! {
        dl {
            dt { "Repository" } dd { a href=(format!("/repos/{}", delivery.repository)) { (plain(delivery.repository.as_bytes())) } }
            @if !others.is_empty() {
                dt { "Also for" } dd {
                    @for other in others { a href=(format!("/deliveries/{}", other.0)) { (plain(other.1.as_bytes())) } " " }
                }
            }
            dt { "Forge" } dd { (plain(delivery.forge.as_bytes())) }
            dt { "Event" } dd { (plain(delivery.event.as_bytes())) }
            dt { "Id at the forge" } dd { code { (plain(delivery.delivery.as_bytes())) } }
            dt { "Received" } dd { (time(delivery.created_ms)) }
            dt { "Outcome" } dd { (outcome) }
        }
    }
}

fn shown(bytes: &[u8]) -> Markup {
    // A form carries its JSON in a field, and other texts are shown as they are.
    let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let text = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
    let end = (0..=MAX_SHOWN.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    html! {
        p.hint { (size(bytes.len() as u64)) @if end < text.len() { ", of which the beginning is shown" } }
        pre.sunk tabindex="0" { (plain(&text.as_bytes()[..end])) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_indented_and_cut() {
        let page = shown(b"{\"ref\":\"<b>\"}").into_string();
        assert!(
            page.contains("{\n  &quot;ref&quot;: &quot;&lt;b&gt;&quot;\n}") || page.contains("&lt;b&gt;"),
            "{page}"
        );
        let page = shown("ü".repeat(MAX_SHOWN).as_bytes()).into_string();
        assert!(page.contains("of which the beginning is shown") && page.len() < MAX_SHOWN + 500);
    }
}
